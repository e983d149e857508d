import { AsyncResource } from 'node:async_hooks';
import { mkdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import {
  type FileLock,
  heldLocks,
  LockDeadlockError,
  type LockError,
  type LockOptions,
  LockTimeoutError,
  lock,
  reclaimLeaked,
} from '../index.js';
import type { BusyDetails, FileLockTimeoutError } from './errors.js';
import { OldLock } from './old-lock.js';

/** Missing in the contexts of node:vm before Node 24; compilers look for the other one there. */
export const asyncDispose: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? (Symbol.for('Symbol.asyncDispose') as typeof Symbol.asyncDispose);

/** A lock as one of the functions here wants it. */
export interface Wanted {
  readonly file: string;
  readonly timeoutMs: number;
  readonly maxHoldMs: number;
  /** The age in ms at which the holder checks itself; 0 for never. */
  readonly staleMs: number;
  readonly reentrant: boolean;
  readonly label: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly legacy: boolean;
  readonly busy: (file: string, details: BusyDetails) => FileLockTimeoutError;
}

/** The path as all spellings of its folder have it; the folder is made where there is none. */
export async function normalize(file: string): Promise<string> {
  // Which would be the working directory here: refused as whatever else is no path of a file.
  if (file === '') return file;
  const path = resolve(file);
  await mkdir(dirname(path), { recursive: true });
  return join(await realpath(dirname(path)), basename(path));
}

/** The lock file of a session or other file. */
export function lockPathOf(file: string): string {
  return `${file}.flock`;
}

function optionsOf(wanted: Wanted, timeout: number): LockOptions {
  const { maxHoldMs, staleMs, reentrant, label, signal } = wanted;
  const leakCheck = staleMs > 0 ? staleMs : undefined;
  return { timeout, lease: maxHoldMs, reentrant, leakCheck, label, signal };
}

function isBusy(error: unknown): error is LockError {
  return error instanceof LockTimeoutError || error instanceof LockDeadlockError;
}

function isHeldHere({ holder, lockPath }: LockError): boolean {
  return holder?.pid === process.pid || heldLocks().some((held) => held.lockPath === lockPath);
}

/**
 * Makes one attempt of the full length and, where this very process holds the lock, another one
 * after leaked locks were reclaimed.
 */
export async function attempt<T>(
  wanted: Wanted,
  once: (options: LockOptions) => Promise<T>,
  isOwn: () => boolean = () => true,
): Promise<T> {
  let timeout = wanted.timeoutMs;
  for (let isLast = false; ; isLast = true) {
    try {
      return await once(optionsOf(wanted, timeout));
    } catch (error) {
      if (!isBusy(error) || !isOwn()) throw error;
      if (isLast || !isHeldHere(error) || (await reclaimLeaked()) === 0) throw busy(wanted, error);
      timeout = 0;
    }
  }
}

function busy({ busy, file, timeoutMs }: Wanted, cause: LockError): FileLockTimeoutError {
  const pid = cause.holder?.pid ?? (isHeldHere(cause) ? process.pid : undefined);
  const owner = pid === undefined ? 'unknown' : `pid=${pid}`;
  return busy(file, { timeoutMs, lockPath: cause.lockPath, owner, cause });
}

/** Takes the old protocol's lock as well, where it is wanted, within what is left of the time. */
export function takeOld(wanted: Wanted, lock: FileLock, started: number): Promise<OldLock | null> {
  if (!wanted.legacy) return Promise.resolve(null);
  const { file, staleMs, timeoutMs, signal } = wanted;
  return OldLock.take(lock, {
    file,
    staleMs,
    signal,
    deadline: started + timeoutMs,
    busy: (lockPath, owner) => wanted.busy(file, { timeoutMs, lockPath, owner, cause: undefined }),
  });
}

// The context of whoever loaded this module, which is nobody's scope.
const outside = new AsyncResource('holdfast.session-lock');

// Who must not nest waits like anybody else, also for its own holder: that one may let go meanwhile,
// where it did not await this, and is made to by its lease at the latest.
function lockIn(wanted: Wanted, options: LockOptions): Promise<FileLock> {
  return wanted.reentrant
    ? lock(wanted.file, options)
    : outside.runInAsyncScope(lock, null, wanted.file, options);
}

const oldLocks = new WeakMap<FileLock, OldLock>();

/** Takes a lock that the caller has to release. */
export async function take(request: Wanted): Promise<FileLock> {
  const started = performance.now();
  const wanted = { ...request, file: await normalize(request.file) };
  const taken = await attempt(wanted, (options) => lockIn(wanted, options));
  try {
    const old = await takeOld(wanted, taken, started);
    if (old !== null) oldLocks.set(taken, old);
    return taken;
  } catch (error) {
    taken.release();
    throw error;
  }
}

/** Lets go of what `take` took, in the reverse order. */
export function letGo(taken: FileLock): void {
  oldLocks.get(taken)?.release();
  taken.release();
}
