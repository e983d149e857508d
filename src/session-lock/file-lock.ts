import { type FileLock, openScope, withLock } from '../index.js';
import { fileMaxHold, positiveMs, type RetryOptions, retryBudget } from './durations.js';
import { FileLockTimeoutError } from './errors.js';
import {
  asyncDispose,
  attempt,
  letGo,
  lockPathOf,
  normalize,
  take,
  takeOld,
  type Wanted,
} from './wanted.js';

/** What `withFileLock` and `acquireFileLock` can be told. */
export interface FileLockOptions {
  /** Its delays together are the time to wait, in the kernel and in the order of arrival. */
  retries: RetryOptions;
  /**
   * The age of a lock in ms at which its own process checks, by a garbage collection, that the task
   * that took it still exists. Never a reason to take it from somebody who lives.
   */
  stale: number;
  /** The longest time to hold it, in ms; then it is taken away. Default: 10 x `stale`, at least 300,000. */
  maxHoldMs?: number | undefined;
  /** What the lock is for, shown to whoever waits. */
  label?: string | undefined;
  /** Ends the wait: the promise rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /**
   * Take the O_EXCL file `<file>.lock` as well, so that programs that know only that one and those
   * that know this lock exclude each other while both run. Default false.
   */
  legacy?: boolean | undefined;
}

/** A lock to be released by hand. */
export interface FileLockHandle extends AsyncDisposable {
  /** The lock file. */
  readonly lockPath: string;
  /** The lock, for `assertHeld()`, `signal` and `token`. */
  readonly lock: FileLock;
  /** Lets go of it. Counts once; does nothing when the lock was lost. */
  release(): Promise<void>;
}

function wantedOf(file: string, options: FileLockOptions): Wanted {
  return {
    file,
    timeoutMs: retryBudget(options.retries),
    maxHoldMs: fileMaxHold(options.maxHoldMs, options.stale),
    staleMs: positiveMs(options.stale, 0),
    reentrant: true,
    label: options.label,
    signal: options.signal,
    legacy: options.legacy ?? false,
    busy: (path, details) => new FileLockTimeoutError(`file lock timeout for ${path}`, details),
  };
}

/**
 * Runs a function while a file is locked, and releases it whatever the function does. Inside, the
 * same async context may lock the file again.
 *
 * @param filePath the file to guard; its folder is created where there is none.
 * @returns what the function returns.
 * @throws whatever the function throws.
 * @throws {FileLockTimeoutError} (`file_lock_timeout`) when the delays of `retries` are over.
 * @throws {LockLostError} (`ERR_LOCK_LOST`, `ERR_LOCK_EXPIRED`) when the lock was lost meanwhile.
 * @throws `signal.reason` when the signal aborts while it waits, or has aborted.
 * @throws {TypeError} (`ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`) for arguments it cannot use.
 * @throws {LockError} (`ERR_LOCK_FOREIGN_FILE`, `ERR_LOCK_NOT_REGULAR`) when the lock file is not one.
 * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when the operating system refuses.
 *
 * @example Write a file that other processes write too
 * ```ts
 * import { writeFile } from 'node:fs/promises';
 * import { withFileLock } from 'holdfast/session-lock';
 *
 * const retries = { retries: 10, factor: 2, minTimeout: 100, maxTimeout: 10_000, randomize: true };
 * await withFileLock('auth.json', { retries, stale: 30_000 }, async () => {
 *   await writeFile('auth.json', '{}');
 * });
 * ```
 */
export async function withFileLock<T>(
  filePath: string,
  options: FileLockOptions,
  fn: (lock: FileLock) => T | PromiseLike<T>,
): Promise<T> {
  const started = performance.now();
  const wanted = { ...wantedOf(filePath, options), file: await normalize(filePath) };
  let entered = false;
  const run = async (lock: FileLock) => {
    entered = true;
    const old = await takeOld(wanted, lock, started);
    try {
      return await fn(lock);
    } finally {
      old?.release();
    }
  };
  return attempt(
    wanted,
    (lockOptions) => withLock(wanted.file, lockOptions, run),
    () => !entered,
  );
}

/**
 * Locks a file until `release()`. The function that awaits this, and what it starts then, may lock the
 * file again.
 *
 * @param filePath the file to guard; its folder is created where there is none.
 * @returns the lock. Prefer `withFileLock`, which cannot forget to release it.
 * @throws {FileLockTimeoutError} (`file_lock_timeout`) when the delays of `retries` are over.
 * @throws `signal.reason` when the signal aborts while it waits, or has aborted.
 * @throws {TypeError} (`ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`) for arguments it cannot use.
 * @throws {LockError} (`ERR_LOCK_FOREIGN_FILE`, `ERR_LOCK_NOT_REGULAR`) when the lock file is not one.
 * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when the operating system refuses.
 *
 * @example Hold a file over several steps
 * ```ts
 * import { acquireFileLock } from 'holdfast/session-lock';
 *
 * const retries = { retries: 10, factor: 2, minTimeout: 100, maxTimeout: 10_000 };
 * await using held = await acquireFileLock('auth.json', { retries, stale: 30_000 });
 * held.lock.assertHeld();
 * ```
 */
export function acquireFileLock(
  filePath: string,
  options: FileLockOptions,
): Promise<FileLockHandle> {
  const taken = Promise.resolve().then(() => take(wantedOf(filePath, options)));
  return openScope(taken).then((lock) => {
    const release = async () => letGo(lock);
    return { lockPath: lockPathOf(lock.resource), lock, release, [asyncDispose]: release };
  });
}
