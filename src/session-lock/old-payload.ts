import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { LockError } from '../index.js';
import { isAlive, startTimeOf } from './process.js';

/** What stands in a lock file of the old protocol. */
export interface OldPayload {
  pid?: number;
  /** ISO 8601. */
  createdAt?: string;
  /** Start of the process in clock ticks since boot, Linux only (proc_pid_stat(5), field 22). */
  starttime?: number;
  /** Of those who hold the kernel's lock too: their fencing token. The old protocol ignores it. */
  token?: string;
}

const ownStartTime = startTimeOf('self');

/** What this process writes; the same number of bytes each time, to be written in place. */
export function ownPayload(token: string): string {
  const payload: OldPayload = {
    pid: process.pid,
    createdAt: new Date().toISOString(),
    ...(ownStartTime !== null && { starttime: ownStartTime }),
    token,
  };
  return JSON.stringify(payload, null, 2);
}

function assertReadable(fd: number, path: string): void {
  if (fstatSync(fd).isFile()) return;
  throw new LockError(
    'ERR_LOCK_NOT_REGULAR',
    `${path} is not a regular file: remove it if it was planted there`,
    { resource: path.replace(/\.lock$/, ''), lockPath: path },
  );
}

function readText(path: string): string | null {
  let fd: number;
  try {
    // Else a FIFO would block this thread. Windows has none, nor this flag.
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    assertReadable(fd, path);
    return readFileSync(fd).toString();
  } finally {
    // Not left to Node, which would end the process where it fails.
    closeSync(fd);
  }
}

/**
 * The payload at this path; empty when it cannot be understood, null when there is no file. One that
 * cannot be read is an error: its holder may well live.
 */
export function readPayload(path: string): OldPayload | null {
  const text = readText(path);
  if (text === null) return null;
  try {
    // Sessions have the start time in lower case, other files in camel case.
    const content = JSON.parse(text);
    const { pid, createdAt, startTime, starttime = startTime, token } = content;
    return {
      ...(Number.isInteger(pid) && pid > 0 && { pid }),
      ...(typeof createdAt === 'string' && { createdAt }),
      ...(Number.isInteger(starttime) && { starttime }),
      ...(typeof token === 'string' && { token }),
    };
  } catch {
    return {};
  }
}

/** Creates the file, as the old protocol does. False when it exists. */
export function createPayload(path: string, content: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o644);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    writeFileSync(fd, content);
    return true;
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Writes over the file in place, so that nobody sees it empty. */
export function refreshPayload(path: string, content: string): void {
  const fd = openSync(path, 'r+');
  try {
    writeSync(fd, content, 0);
  } finally {
    closeSync(fd);
  }
}

export function removePayload(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

// Between the creation of a file and its content there are no 30 s, unless its writer was stopped.
const longestWriteMs = 30_000;

function isOlder(path: string, ms: number): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && Date.now() - stats.mtimeMs > ms;
}

/**
 * Whether the process that wrote this is gone. A living one is believed whatever its age: it may be
 * slow, and taking its lock would cost what it is about to write.
 */
export function isOrphaned(path: string, payload: OldPayload, staleMs: number): boolean {
  const { pid, createdAt, starttime } = payload;
  // Torn: its writer is between two system calls, or has died there.
  if (pid === undefined) return isOlder(path, Math.min(staleMs, longestWriteMs));
  if (!isAlive(pid)) return true;
  if (starttime !== undefined) {
    const current = startTimeOf(pid);
    return current !== null && current !== starttime;
  }
  // In a container each process may have the same pid as the one before it.
  const started = Date.now() - process.uptime() * 1000;
  return pid === process.pid && createdAt !== undefined && Date.parse(createdAt) < started;
}
