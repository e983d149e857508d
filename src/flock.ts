import { invalid } from './arguments.js';
import { addon, status } from './native.js';
import { systemError } from './system-error.js';

const modes = { unlock: 0, shared: 1, exclusive: 2 } as const;

/**
 * Locks or unlocks a file that you opened yourself, without waiting and without writing to it.
 *
 * Every descriptor of the same open file (duplicated or inherited by a child) shares the lock, and
 * closing the last one frees it (flock(2)). On Linux a failed change from shared to exclusive loses
 * the shared lock (flock(2), "NOTES"). On Windows the locks of one open file add up instead: unlock it before
 * another mode, or `'exclusive'` once more, or its own lock is in the way (LockFileEx).
 *
 * @param fd a file descriptor, as `fs.openSync` or `FileHandle.fd` gives it.
 * @param mode what to make of the lock that the file has, if any; to unlock what is not locked is no error.
 * @returns false when somebody else holds the lock, else true.
 * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) for arguments it cannot use.
 * @throws {Error} with Node's `code`, `errno` and `syscall` when the operating system refuses, for one
 *   `EBADF` for a closed descriptor.
 *
 * @example One instance of a program
 * ```ts
 * import { openSync } from 'node:fs';
 * import { flock } from 'holdfast';
 *
 * if (!flock(openSync('app.pid', 'a'), 'exclusive')) process.exit(1);
 * ```
 */
export function flock(fd: number, mode: 'exclusive' | 'shared' | 'unlock'): boolean {
  if (!Number.isInteger(fd) || fd < 0 || fd > 2 ** 31 - 1) {
    throw invalid('fd', 'a file descriptor', fd);
  }
  if (!Object.hasOwn(modes, mode)) {
    throw invalid('mode', "'exclusive', 'shared' or 'unlock'", mode);
  }
  const result = addon.flock(fd, modes[mode]);
  if (result < 0) throw systemError(result, 'flock');
  return result === status.done;
}
