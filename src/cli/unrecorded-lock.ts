import { statSync } from 'node:fs';
import type { FileLock } from '../file-lock.js';
import { acquire } from '../lock.js';
import { requestFlags } from '../native.js';
import { type LockOptions, toRequest } from '../options.js';
import { fileSystemOf } from '../system-error.js';

/** Whether what is open for reading only can be locked exclusively: not on NFS (flock(2)). */
export function locksReaders(path: string): boolean {
  return fileSystemOf(path) !== 'NFS';
}

/**
 * Whether a file is opened for reading only, to be locked. One that is open for writing cannot be run
 * (execve(2), ETXTBSY), and there are scripts that lock themselves. Not every file, because the queue
 * before the lock is for descriptors that could write; not so on Windows, where nothing tells a program.
 */
function opensForReading(path: string): boolean {
  if (process.platform === 'win32') return true;
  try {
    const stats = statSync(path);
    return stats.isFile() && (stats.mode & 0o111) !== 0 && locksReaders(path);
  } catch {
    // What is wrong with it is left to the lock.
    return false;
  }
}

/** As `lock()` without a record, for a file that may be anything else as well. */
export async function lockUnrecorded(file: string, options: LockOptions): Promise<FileLock> {
  const request = toRequest(file, { ...options, lockPath: file, record: false });
  if (!opensForReading(request.lockPath)) return acquire(request);
  return acquire({ ...request, flags: request.flags | requestFlags.reads });
}
