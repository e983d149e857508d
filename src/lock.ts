import { cycleDeadlock, selfDeadlock } from './deadlock.js';
import { LockDeadlockError } from './errors.js';
import { FileLock } from './file-lock.js';
import { awaitedAt, overtakenBy, queueFor, remoteQueueFor } from './find-queue.js';
import { type Hold, isUnleased } from './hold.js';
import { LockFile } from './lock-file.js';
import { status } from './native.js';
import { lockNested, shareAgain } from './nesting.js';
import {
  type LockOptions,
  type LockRequest,
  type LockSyncOptions,
  type TryLockOptions,
  toRequest,
} from './options.js';
import { timeoutError } from './pending.js';
import { isRemotePath, withFlush } from './remote-path.js';
import { holdsAround, scopeHolding } from './scope.js';
import { isUnlimited, lookForStuckWaits, watchStuckWaits } from './stuck-waits.js';
import { errorFrom } from './system-error.js';
import type { WaitQueue } from './wait-queue.js';
import { Waiter } from './waiter.js';

/**
 * Makes one attempt to take a lock, without waiting. That somebody else holds it is not an error.
 *
 * To hold it until the process ends, keep it in a property of `globalThis`: a lock that no code refers to
 * any more is freed by the garbage collector.
 *
 * @param resource the path to guard, or its `file:` URL; it need not exist. The lock file stands beside it,
 *   in a folder that does.
 * @returns the lock, or null when it is held, or waited for, by somebody else.
 * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) for arguments it cannot use, and for options that do not
 *   exist; a URL that is no path has one of Node's codes (`ERR_INVALID_URL_SCHEME` and the like).
 * @throws {LockError} (`ERR_LOCK_FOREIGN_FILE`, `ERR_LOCK_NOT_REGULAR`) when the lock file is not one.
 * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when the operating system refuses.
 *
 * @example Do it unless somebody else does
 * ```ts
 * import { tryLock } from 'holdfast';
 *
 * using held = tryLock('build/cache');
 * if (held === null) console.log('somebody else is at it');
 * ```
 */
export function tryLock(resource: string | URL, options?: TryLockOptions): FileLock | null {
  const request = blockingRequest(toRequest(resource, options, tryLock));
  if (awaitedAt(request.lockPath) !== undefined) return null;
  const file = LockFile.take();
  const result = file.tryAcquire(request);
  if (result === status.done) {
    const taken = takeUnlessBehind(file, request);
    return taken instanceof FileLock ? taken : null;
  }
  file.letGo();
  if (result === status.contended) return null;
  throw errorFrom(result, request);
}

/**
 * Takes a lock, waiting for it in the order of arrival. The wait costs no CPU time, keeps the process
 * alive, and never occupies Node's thread pool.
 *
 * The lock belongs to whoever gets it; only `withLock` and `openScope` open a scope, in which a wait
 * for oneself is seen at once. Elsewhere it is seen when the event loop has run empty.
 *
 * @param resource the path to guard, or its `file:` URL; it need not exist. The lock file stands beside it,
 *   in a folder that does.
 * @returns the held lock. Release it, or take it with `using`.
 * @throws {LockTimeoutError} (`ERR_LOCK_TIMEOUT`) when `timeout` ms are over.
 * @throws {LockDeadlockError} (`EDEADLK`) when the wait could never end.
 * @throws `signal.reason` when the signal aborts, or has aborted.
 * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) for arguments it cannot use, and for options that do not
 *   exist; a URL that is no path has one of Node's codes (`ERR_INVALID_URL_SCHEME` and the like).
 * @throws {LockError} (`ERR_LOCK_FOREIGN_FILE`, `ERR_LOCK_NOT_REGULAR`) when the lock file is not one.
 * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when the operating system refuses.
 *
 * @example Wait for at most ten seconds
 * ```ts
 * import { lock } from 'holdfast';
 *
 * await using held = await lock('sessions/a.jsonl', { timeout: 10_000, label: 'append reply' });
 * console.log(held.token);
 * ```
 */
export function lock(resource: string | URL, options?: LockOptions): Promise<FileLock> {
  // Not an async function, for which a promised lock would take three more turns of the microtasks.
  try {
    const acquired = acquire(toRequest(resource, options, lock));
    return acquired instanceof FileLock ? Promise.resolve(acquired) : acquired;
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * Takes a lock and blocks this thread, with its event loop, until it is granted.
 *
 * @param resource the path to guard, or its `file:` URL; it need not exist. The lock file stands beside it,
 *   in a folder that does.
 * @returns the held lock. Release it, or take it with `using`.
 * @throws {LockTimeoutError} (`ERR_LOCK_TIMEOUT`) when `timeout` ms are over.
 * @throws {LockDeadlockError} (`EDEADLK`) when this very thread holds the lock without a lease.
 * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) for arguments it cannot use, and for options that do not
 *   exist; a URL that is no path has one of Node's codes (`ERR_INVALID_URL_SCHEME` and the like).
 * @throws {LockError} (`ERR_LOCK_FOREIGN_FILE`, `ERR_LOCK_NOT_REGULAR`) when the lock file is not one.
 * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when the operating system refuses.
 *
 * @example In a command that has nothing else to do
 * ```ts
 * import { lockSync } from 'holdfast';
 *
 * using held = lockSync('config.json', { timeout: 5_000 });
 * console.log(held.lockPath);
 * ```
 */
export function lockSync(resource: string | URL, options?: LockSyncOptions): FileLock {
  const request = blockingRequest(toRequest(resource, options, lockSync));
  const deadline = performance.now() + request.timeout;
  for (;;) {
    const file = LockFile.take();
    let result: number | FileLock = file.tryAcquire(request);
    if (result === status.done) return take(file, request, overtakenBy(file, request.lockPath));
    if (result === status.contended) result = waitSync(request, file, deadline);
    else file.recycle();
    if (typeof result !== 'number') return result;
    if (result === status.contended) throw timeoutError(request);
    if (result !== status.replaced) throw errorFrom(result, request);
  }
}

/** Whether one here has released it and another one here is yet to get it: who is told of the release runs in between. */
function isOnItsWay(opened: LockFile): boolean {
  return opened.holders().some(({ hold }) => hold === null);
}

function waitSync(request: LockRequest, opened: LockFile, deadline: number): FileLock | number {
  const queue = isRemotePath(request.lockPath)
    ? remoteQueueFor(request.lockPath)
    : queueFor(opened, request.lockPath);
  // Even a shared one and a shared request: then somebody who waits for the one is before the other.
  const own = queue.holds.find(isUnleased);
  const left = deadline - performance.now();
  if (left <= 0 || own !== undefined || isOnItsWay(opened)) {
    queue.decline(opened);
    const shared = shareAgain(own, request);
    if (shared !== null) return shared;
    if (left <= 0) return status.contended;
    throw new LockDeadlockError(
      `waiting for ${request.resource} would never end: this thread holds it and cannot release it while it is blocked. Release it first, or use lock(), which waits without blocking.`,
      request,
    );
  }
  return queue.waitSync(request, opened, left, (file) => new FileLock(file, request));
}

/** What is asked for by somebody who waits for the system anyway, so that nothing has to leave the event loop. */
function blockingRequest(request: LockRequest): LockRequest {
  return isRemotePath(request.lockPath) ? withFlush(request) : request;
}

/** Takes a lock at once where that is possible, else promises it. */
export function acquire(request: LockRequest): FileLock | Promise<FileLock> {
  request.signal?.throwIfAborted();
  if (isRemotePath(request.lockPath)) {
    return wait(remoteQueueFor(request.lockPath), { ...withFlush(request), remote: true });
  }
  const awaited = awaitedAt(request.lockPath);
  if (awaited !== undefined) return wait(awaited, request);
  const file = LockFile.take();
  const result = file.tryAcquire(request);
  if (result === status.done) {
    const taken = takeUnlessBehind(file, request);
    return taken instanceof FileLock ? taken : wait(taken, request);
  }
  if (result === status.contended) return wait(queueFor(file, request.lockPath), request, file);
  file.recycle();
  throw errorFrom(result, request);
}

/** Takes what was granted at once. Those whom it overtook wait for this thread from now on. */
function take(file: LockFile, request: LockRequest, overtaken: WaitQueue | undefined): FileLock {
  const lock = new FileLock(file, request);
  overtaken?.meet(file, lock.hold);
  return lock;
}

/** The same, but gives it back and answers the queue to stand in where others wait under another path. */
function takeUnlessBehind(file: LockFile, request: LockRequest): FileLock | WaitQueue {
  const overtaken = overtakenBy(file, request.lockPath);
  // Readers would keep a writer out for good. An exclusive lock was free when it was taken, and has
  // replaced what the record may say of a crash.
  if (overtaken === undefined || request.mode === 'exclusive')
    return take(file, request, overtaken);
  file.forceUnlock();
  file.recycle();
  return overtaken;
}

/**
 * What this thread holds of the file that is waited for. The queue knows of those that tell it, and may be
 * one for the file that stood at the path before: a scope may hold the new one, by another path.
 */
function localHolds(queue: WaitQueue, request: LockRequest, opened: LockFile | undefined): Hold[] {
  if (request.remote) return queue.holds;
  const file = opened ?? LockFile.take();
  const isOpen = opened !== undefined || file.openInTurn(request) === status.contended;
  const found = isOpen ? file.holders().flatMap(({ hold }) => hold ?? []) : [];
  if (opened === undefined) file.letGo();
  return [...queue.holds, ...found];
}

function wait(
  queue: WaitQueue,
  request: LockRequest,
  opened?: LockFile,
): FileLock | Promise<FileLock> {
  const holding = holdsAround();
  const scope = holding.length === 0 ? undefined : scopeHolding(localHolds(queue, request, opened));
  if (scope !== undefined && request.reentrant && scope.hold.mode === 'exclusive') {
    queue.decline(opened);
    return lockNested(scope, request, acquire);
  }
  const shared = shareAgain(scope?.hold, request);
  if (shared !== null) {
    queue.decline(opened);
    return shared;
  }
  const deadlock =
    scope === undefined
      ? cycleDeadlock(request, queue, holding)
      : selfDeadlock(request, scope.hold);
  const hopeless = request.timeout === 0 && (!request.remote || queue.blocks(request));
  if (deadlock !== undefined || hopeless) {
    queue.decline(opened);
    throw deadlock ?? timeoutError(request);
  }
  // The queue keeps the process alive where that is not for this thread alone to end.
  const unlimited = isUnlimited(request);
  const waiter = new Waiter(queue, request, holding, unlimited);
  queue.join(waiter, opened);
  if (unlimited) {
    watchStuckWaits();
    if (queue.endlessHold !== undefined) lookForStuckWaits();
  }
  return waiter.promise;
}
