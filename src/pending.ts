import { offAbort, onAbort } from './abort.js';
import { LockTimeoutError } from './errors.js';
import type { FileLock } from './file-lock.js';
import { findHolders } from './find-holders.js';
import { describeHolders } from './lock-holder.js';
import { addon } from './native.js';
import { type LockRequest, longestTimer } from './options.js';
import { traceWait, traceWaitEnd, WaitTrace } from './tracing.js';

/** A promised lock. Whatever settles it first wins, and ends its timer and its abort listener. */
export interface Pending {
  readonly promise: Promise<FileLock>;
  resolve(lock: FileLock | Promise<FileLock>): void;
  reject(error: unknown): void;
  /** Makes the wait keep the process alive, if it did not from its beginning. */
  keepAlive(): void;
}

let pendingCount = 0;

// Those who wait for something from elsewhere keep the process alive; those who hold do not.
function count(change: 1 | -1): void {
  pendingCount += change;
  if (pendingCount === 0 || (pendingCount === 1 && change === 1)) addon.keepAlive(pendingCount > 0);
}

/** The error for a wait that took too long; it says who holds the lock. */
export function timeoutError(request: LockRequest): LockTimeoutError {
  const { resource, lockPath, mode, timeout } = request;
  // Whoever makes but one attempt may make many, and did not wait for an answer.
  const holders = findHolders(lockPath, timeout > 0);
  return new LockTimeoutError(
    `timed out after ${timeout} ms waiting for ${mode === 'shared' ? 'a shared' : 'an exclusive'} lock on ${resource}: ${describeHolders(holders)}`,
    { resource, lockPath, holder: holders[0] ?? null },
  );
}

/**
 * Promises a lock within the request's timeout and signal; `cancel` is called when either ends it.
 * The wait keeps the process alive, unless it is `forThread`: for something that only this thread does.
 */
export function promiseLock(request: LockRequest, cancel: () => void, forThread = false): Pending {
  const { signal, timeout } = request;
  let counted = false;
  let settle: Pick<Pending, 'resolve' | 'reject'> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const trace = new WaitTrace(request);

  const promise = new Promise<FileLock>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const keepAlive = () => {
    if (!counted) count(1);
    counted = true;
  };
  const end = (error?: unknown) => {
    const ended = settle;
    settle = undefined;
    clearTimeout(timer);
    if (signal !== undefined) offAbort(signal, giveUpByAbort);
    if (counted) count(-1);
    traceWaitEnd(trace, error);
    return ended;
  };
  const giveUp = (error: () => unknown) => {
    if (settle === undefined) return;
    cancel();
    const reason = error();
    end(reason)?.reject(reason);
  };
  const giveUpByAbort = () => giveUp(() => signal?.reason);

  if (!forThread) keepAlive();
  traceWait(trace);
  if (signal !== undefined) onAbort(signal, giveUpByAbort);
  // Nobody waits 24 days. One attempt on a remote file system takes as long as it takes.
  if (timeout <= longestTimer && (timeout > 0 || !request.remote))
    timer = setTimeout(() => giveUp(() => timeoutError(request)), timeout);
  return {
    promise,
    resolve: (lock) => end()?.resolve(lock),
    reject: (error) => end(error)?.reject(error),
    keepAlive,
  };
}
