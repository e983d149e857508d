// The installers that a user may have, each from its package, and how each puts a tarball into an
// empty folder.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { familySync, MUSL } from 'detect-libc';
import { cache, npmPackages } from '../cache.mjs';
import { run } from '../run.mjs';

const musl = process.platform === 'linux' && familySync() === MUSL ? '-musl' : '';
const exe = process.platform === 'win32' ? '.exe' : '';

/** Native programs have a package for each platform; what `pnpm` and `bun` do is to choose one. */
async function nativeProgram(name, path) {
  const modules = await npmPackages(name).catch(() => undefined);
  const file = modules && join(modules, name.replace(/@[\d.]+$/, ''), path);
  return file !== undefined && existsSync(file) ? file : undefined;
}

async function npm(folder, tarball, flags = []) {
  return run('npm', ['install', ...flags, tarball], { cwd: folder, quiet: true });
}

const pnpmVersion = '12.21.0';
const bunVersion = '1.4.5';
const yarnVersion = '4.18.1';

async function pnpm(folder, tarball) {
  const name = `@pnpm/exe.${process.platform}-${process.arch}${musl}@${pnpmVersion}`;
  const program = await nativeProgram(name, `pnpm${exe}`);
  if (program === undefined) return undefined;
  const store = join(cache, 'pnpm-store');
  return run(program, ['add', tarball, '--store-dir', store], { cwd: folder, quiet: true });
}

async function yarn(folder, tarball) {
  const modules = await npmPackages(`@yarnpkg/cli-dist@${yarnVersion}`);
  const settings = { nodeLinker: 'node-modules', enableTelemetry: false, enableGlobalCache: true };
  writeFileSync(join(folder, '.yarnrc.yml'), JSON.stringify(settings));
  // Makes the folder a project of its own, wherever it is.
  writeFileSync(join(folder, 'yarn.lock'), '');
  const program = join(modules, '@yarnpkg', 'cli-dist', 'bin', 'yarn.js');
  return run(process.execPath, [program, 'add', `holdfast@file:${tarball}`], {
    cwd: folder,
    quiet: true,
    env: {
      YARN_GLOBAL_FOLDER: join(cache, 'yarn'),
      // In CI it would not write the lock file that it has to make.
      YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
    },
  });
}

async function bun(folder, tarball) {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const machine = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const name = `@oven/bun-${system}-${machine}${musl}@${bunVersion}`;
  const program = await nativeProgram(name, join('bin', `bun${exe}`));
  if (program === undefined) return undefined;
  const env = { BUN_INSTALL_CACHE_DIR: join(cache, 'bun') };
  return run(program, ['add', tarball], { cwd: folder, quiet: true, env });
}

/** By name: installs into a folder and answers `{ output }`, or undefined where there is no such program. */
export const installers = {
  npm,
  'npm --ignore-scripts': (folder, tarball) => npm(folder, tarball, ['--ignore-scripts']),
  pnpm,
  yarn,
  bun,
};
