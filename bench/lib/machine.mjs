import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

const firstLine = (/** @type {string} */ command, /** @type {string[]} */ args) => {
  try {
    return execFileSync(command, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).split('\n')[0];
  } catch {
    return 'not found';
  }
};

/** Type of the file system that holds the path: that of the longest mount point above it. */
function fileSystemOf(/** @type {string} */ path) {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, point]) => `${path}/`.startsWith(point.endsWith('/') ? point : `${point}/`))
    .sort(([, a], [, b]) => a.length - b.length);
  return mounts.at(-1)?.[2] ?? 'unknown';
}

/** The cores that this process may use, as numbers. */
export function allowedCores() {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1];
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** What the figures depend on, without anything that names this particular machine. */
export const describeMachine = (/** @type {string} */ directory) => ({
  cpu: os.cpus()[0].model.trim(),
  cores: os.availableParallelism(),
  memoryGiB: Math.round(os.totalmem() / 2 ** 30),
  kernel: `${os.type()} ${os.release().replace(/-.*/, '')}`,
  fileSystem: fileSystemOf(directory),
  node: process.version,
  compiler: firstLine('cc', ['--version']),
  flock: firstLine('flock', ['--version']),
  loadAverage: os.loadavg()[0],
});
