// The contract of an adapter, and the peers in the order in which they take turns.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * @typedef {() => void | Promise<unknown>} Release
 *
 * @typedef {object} Adapter
 * @property {string} name  as the report shows it
 * @property {string} mechanism  what the lock is made of
 * @property {string} waits  how `acquire` waits
 * @property {string} [package]  the npm package, for its version
 * @property {(path: string) => Release | null} [tryAcquire]  one synchronous attempt; null when somebody has it
 * @property {(path: string) => Promise<Release>} [acquire]  waits, without a limit, until it is granted
 * @property {(path: string, fn: () => Promise<void>) => Promise<void>} [withLock]  holds it while `fn` runs
 * @property {string[]} [scenarios]  the only ones that it takes part in
 * @property {boolean} [polledByUser]  `acquire` is a retry loop of ours around a library that can only try
 * @property {boolean} [processPerLock]  each lock starts a process: scenarios keep such counts low
 *
 * @typedef {Adapter & { id: string, version: string | null }} Peer
 */

const adapterFiles = [
  'holdfast',
  'holdfast-no-record',
  'holdfast-leak-check',
  'holdfast-lease',
  'fs-ext',
  'fs-ext-extra-prebuilt',
  'fs-native-extensions-wait',
  'fs-native-extensions-try',
  'fd-lock',
  'os-lock',
  'koffi',
  'flock-command',
  'proper-lockfile',
  'lockfile',
  'dotlocker',
  'rushstack-lock-file',
  'cross-process-lock',
];

// Those who take part without an adapter.
export const floorId = 'c';
export const baselineId = 'none';

/** Our own adapters: what all the targets are about. */
export const isOurs = (/** @type {string} */ id) => id.startsWith('holdfast');

/** @param {string} id @returns {Promise<Adapter>} */
export const loadAdapter = async (id) => (await import(`../adapters/${id}.mjs`)).default;

const require = createRequire(import.meta.url);

// By file, since "exports" may hide package.json.
function installedVersion(/** @type {string} */ name) {
  const paths = require.resolve.paths(name) ?? [];
  for (const path of paths) {
    try {
      return JSON.parse(readFileSync(join(path, name, 'package.json'), 'utf8')).version;
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }
  return null;
}

const ownVersion = () =>
  JSON.parse(
    readFileSync(join(dirname(new URL(import.meta.url).pathname), '../../package.json'), 'utf8'),
  ).version;

/**
 * Loads the adapters, and reports those that cannot be loaded.
 * @param {string[]} filters  how their file names begin; empty for all
 */
export async function loadPeers(filters) {
  const chosen = adapterFiles.filter(
    (id) => filters.length === 0 || filters.some((start) => id.startsWith(start)),
  );
  /** @type {Peer[]} */
  const peers = [];
  /** @type {{ id: string, reason: string }[]} */
  const failed = [];
  for (const id of chosen) {
    try {
      const adapter = await loadAdapter(id);
      const version = isOurs(id)
        ? ownVersion()
        : adapter.package
          ? installedVersion(adapter.package)
          : null;
      peers.push({ ...adapter, id, version });
    } catch (error) {
      failed.push({ id, reason: reasonOf(id, error) });
    }
  }
  return { peers, failed };
}

function reasonOf(/** @type {string} */ id, /** @type {NodeJS.ErrnoException} */ error) {
  const firstLine = error.message.split('\n')[0].replaceAll(process.cwd(), '.');
  if (isOurs(id))
    return `not built, run \`npm run compile\` in the package root first (${error.code ?? firstLine})`;
  if (error.code === 'ERR_MODULE_NOT_FOUND') return 'does not build here (its install failed)';
  return `does not load: ${firstLine}`;
}
