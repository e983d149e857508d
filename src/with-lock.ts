import { invalid } from './arguments.js';
import { dispose } from './dispose.js';
import { describeThrown } from './errors.js';
import { FileLock } from './file-lock.js';
import { acquire } from './lock.js';
import { type LockOptions, toRequest } from './options.js';
import { printable } from './printable.js';
import { runInScope } from './scope.js';

/** What runs while the lock is held; it may renew it, check it, or release it early. */
export type LockScope<T> = (lock: FileLock) => T | PromiseLike<T>;

/**
 * Runs a function while a lock is held, and releases it whatever the function does. When the lock is
 * lost meanwhile (lease, `releaseAll`), the promise rejects at once, even if the function never ends.
 *
 * @param resource the path to guard, or its `file:` URL; it need not exist. The lock file stands beside it,
 *   in a folder that does.
 * @returns what the function returns.
 * @throws whatever the function throws. An error of the release itself is thrown when the function
 *   succeeded, and is a warning of the process when it did not.
 * @throws {LockLostError} (`ERR_LOCK_LOST`, `ERR_LOCK_EXPIRED`) when the lock was lost meanwhile.
 * @throws {LockTimeoutError} (`ERR_LOCK_TIMEOUT`) when `timeout` ms are over.
 * @throws {LockDeadlockError} (`EDEADLK`) when the wait could never end, for one because the calling
 *   async context holds the lock itself.
 * @throws `signal.reason` when the signal aborts while it waits, or has aborted.
 * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) for arguments it cannot use, and for options that do not
 *   exist; a URL that is no path has one of Node's codes (`ERR_INVALID_URL_SCHEME` and the like).
 * @throws {LockError} (`ERR_LOCK_FOREIGN_FILE`, `ERR_LOCK_NOT_REGULAR`) when the lock file is not one.
 * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when the operating system refuses.
 *
 * @example Read, change and write a file that other processes change too
 * ```ts
 * import { appendFile } from 'node:fs/promises';
 * import { withLock } from 'holdfast';
 *
 * await withLock('sessions/a.jsonl', { timeout: 10_000 }, async (lock) => {
 *   lock.assertHeld();
 *   await appendFile('sessions/a.jsonl', '{"role":"user"}\n');
 * });
 * ```
 */
export function withLock<T>(resource: string | URL, fn: LockScope<T>): Promise<T>;
export function withLock<T>(
  resource: string | URL,
  options: LockOptions,
  fn: LockScope<T>,
): Promise<T>;
export function withLock<T>(
  resource: string | URL,
  optionsOrFn: LockOptions | LockScope<T>,
  maybeFn?: LockScope<T>,
): Promise<T> {
  // Not an async function: that would be two more promises for each call, and promises are most of
  // what an uncontended call costs beyond the lock.
  try {
    const implied = typeof optionsOrFn === 'function';
    const fn = implied ? optionsOrFn : maybeFn;
    if (typeof fn !== 'function') throw invalid('fn', 'a function', fn);
    const acquired = acquire(toRequest(resource, implied ? undefined : optionsOrFn, withLock));
    if (acquired instanceof FileLock) {
      const outcome = run(acquired, fn);
      return outcome instanceof Promise ? outcome : Promise.resolve(outcome);
    }
    return acquired.then((lock) => run(lock, fn));
  } catch (error) {
    return Promise.reject(error);
  }
}

function run<T>(lock: FileLock, fn: LockScope<T>): T | Promise<T> {
  let outcome: T | PromiseLike<T>;
  let promised: boolean;
  try {
    outcome = runInScope(lock, fn);
    // What is asked for its `then` may throw.
    promised = isPromiseLike(outcome);
  } catch (error) {
    releaseAfter(error, lock);
    throw error;
  }
  if (promised) return settle(lock, outcome);
  lock[dispose]();
  if (lock.lost !== null) throw lock.lost;
  return outcome as T;
}

function isPromiseLike(value: unknown): boolean {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}

function settle<T>(lock: FileLock, outcome: T | PromiseLike<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    // Not a closure over the lock: a lease keeps this listener, and the listener must not keep the lock.
    lock.onLost.push(reject);
    if (lock.lost !== null) reject(lock.lost);
    const succeed = (value: Awaited<T>) => {
      try {
        lock.release();
      } catch (error) {
        reject(error);
        lock.abandon(error);
      }
      resolve(value);
    };
    const fail = (error: unknown) => {
      reject(error);
      releaseAfter(error, lock);
    };
    try {
      // What is promised by another kind of thenable is not to be trusted to settle once, nor not to throw.
      Promise.resolve(outcome).then(succeed, fail);
    } catch (error) {
      // Nor is a promise of Node's that somebody has given a `then` or a `constructor` of its own.
      fail(error);
    }
  });
}

/** The function's own error is the one that counts; that of the release must not be lost either. */
function releaseAfter(error: unknown, lock: FileLock): void {
  try {
    lock[dispose]();
  } catch (releaseError) {
    process.emitWarning(
      new Error(
        printable(
          `the lock on ${lock.resource} could not be released after ${describeThrown(error)}`,
        ),
        { cause: releaseError },
      ),
    );
  }
}
