import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { parseHolderRecord, recordBytes } from './holder-record.js';
import { attribute, type LockHolder } from './lock-holder.js';
import { KernelLocks } from './proc-locks.js';

// A FIFO or a symbolic link planted at the path must neither block nor lead elsewhere.
const carefully = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
export const lookFlags = constants.O_RDONLY | carefully;
export const lookAsWriterFlags = constants.O_RDWR | carefully;

/**
 * Who holds the lock file at this path, without touching its lock: for a message about a lock that
 * was found held. Whatever goes wrong gives an empty list.
 *
 * A record whose process exists is believed. The kernel is asked only where there is none, and where
 * `askKernel` is set: /proc/locks stops all locking of the system for a moment, and the thread that
 * reads it for an RCU grace period, 10 ms or so (Linux, fs/locks.c, file_rwsem).
 */
export function findHolders(lockPath: string, askKernel: boolean): LockHolder[] {
  let fd: number | undefined;
  try {
    fd = openSync(lockPath, lookFlags);
    const buffer = Buffer.alloc(recordBytes);
    const count = readSync(fd, buffer, 0, recordBytes, 0);
    const record = parseHolderRecord(buffer.toString('utf8', 0, count));
    const recorded = attribute('exclusive', record, null).holders;
    if (recorded.length > 0 || !askKernel) return recorded;
    const stats = fstatSync(fd, { bigint: true });
    let kernel = KernelLocks.read()?.about(fd, stats) ?? null;
    // It was found held: so the list has left somebody out, or the holder has just gone.
    if (kernel?.holders.length === 0) kernel = KernelLocks.read()?.about(fd, stats) ?? null;
    return attribute(kernel?.holders[0]?.mode ?? 'exclusive', record, kernel).holders;
  } catch {
    return [];
  } finally {
    closeQuietly(fd);
  }
}

// Closed whatever it says, and nothing was written; whoever asks has a timeout to report.
function closeQuietly(fd: number | undefined): void {
  try {
    if (fd !== undefined) closeSync(fd);
  } catch {}
}
