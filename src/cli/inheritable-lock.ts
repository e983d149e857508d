import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { flock } from '../flock.js';
import { lock } from '../lock.js';
import type { LockMode } from '../options.js';

function openFile(path: string): number {
  const { O_RDONLY, O_RDWR, O_CREAT, O_NONBLOCK } = constants;
  try {
    return openSync(path, O_RDWR | O_CREAT | O_NONBLOCK, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EROFS') throw error;
    return openSync(path, O_RDONLY | O_NONBLOCK);
  }
}

function isAt(path: string, fd: number): boolean {
  try {
    const [open, named] = [fstatSync(fd, { bigint: true }), statSync(path, { bigint: true })];
    return open.ino === named.ino && open.dev === named.dev;
  } catch {
    return false;
  }
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
    const fd = openFile(path);
    if (flock(fd, mode) && isAt(path, fd)) return fd;
    closeSync(fd);
    // Waits for its turn among all others, then tries again right after it.
    const left = Math.max(0, deadline - performance.now());
    const turn = await lock(path, { lockPath: path, mode, record: false, timeout: left });
    turn.release();
  }
}
