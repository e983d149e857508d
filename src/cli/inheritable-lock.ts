import { closeSync, constants, existsSync, fstatSync, openSync, statSync } from 'node:fs';
import { lookAsWriterFlags, lookFlags } from '../find-holders.js';
import { flock } from '../flock.js';
import { status } from '../native.js';
import type { LockMode } from '../options.js';
import { errorFrom } from '../system-error.js';
import { locksReaders, lockUnrecorded } from './unrecorded-lock.js';

function openFile(path: string): number {
  // To open it for writing would only keep a script from being run that is locked while it runs.
  const flags = locksReaders(path) ? lookFlags : lookAsWriterFlags;
  try {
    return openSync(path, flags | constants.O_CREAT, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const refused = code === 'EACCES' || code === 'EROFS';
    // One that could not be made is not to be opened either, and that would hide why.
    if (!refused || !existsSync(path)) throw error;
    return openSync(path, lookFlags);
  }
}

function openRegular(path: string): number {
  const fd = openFile(path);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw errorFrom(status.notRegular, { resource: path, lockPath: path });
}

function isAt(path: string, fd: number): boolean {
  const open = fstatSync(fd, { bigint: true });
  const named = statSync(path, { bigint: true, throwIfNoEntry: false });
  return named !== undefined && open.ino === named.ino && open.dev === named.dev;
}

/**
 * Locks a file through a descriptor that children can inherit: the lock is theirs as well then, and
 * ends when the last of them has closed it. No holder record is written.
 *
 * @param timeout in ms.
 * @returns the descriptor.
 * @throws {LockTimeoutError} when `timeout` ms are over.
 */
export async function lockInheritable(
  path: string,
  mode: LockMode,
  timeout: number,
): Promise<number> {
  const deadline = performance.now() + timeout;
  for (;;) {
    const fd = openRegular(path);
    if (flock(fd, mode) && isAt(path, fd)) return fd;
    closeSync(fd);
    // Waits for its turn among all others, then tries again right after it.
    const left = Math.max(0, deadline - performance.now());
    const turn = await lockUnrecorded(path, { mode, timeout: left });
    turn.release();
  }
}
