// What building the addon takes, on a machine that has only Node and npm.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { nodeFolder } from '../source/node-headers.mjs';
import { debianPackages, npmPackages, runs } from './cache.mjs';

/** Installs a compiler and its tools where there are none. */
export async function buildTools() {
  const wanted = { 'c++': 'g++', make: 'make', python3: 'python3' };
  const missing = Object.keys(wanted).filter((program) => !runs(program, '--version'));
  if (missing.length > 0) await debianPackages(...missing.map((program) => wanted[program]));
}

/**
 * The environment in which node-gyp finds the headers of Node-API: those of the npm package of this
 * version where this Node came without any. Elsewhere than on Linux node-gyp fetches them itself.
 */
export async function headersEnvironment() {
  if (process.platform !== 'linux' || nodeFolder() !== undefined) return {};
  const name = `node-linux-${process.arch}`;
  const folder = join(await npmPackages(`${name}@${process.versions.node}`), name);
  return existsSync(join(folder, 'include')) ? { npm_config_nodedir: folder } : {};
}
