import { offAbort, onAbort } from './abort.js';
import { LockTimeoutError } from './errors.js';
import type { FileLock } from './file-lock.js';
import { findHolders } from './find-holders.js';
import { describeHolders } from './lock-holder.js';
import { stayAliveFor } from './native.js';
import { type LockRequest, longestTimer } from './options.js';
import { messageOf, traceWait, traceWaitEnd, type WaitTrace } from './tracing.js';

let pendingCount = 0;

function count(change: 1 | -1): void {
  pendingCount += change;
  if (pendingCount === 0 || (pendingCount === 1 && change === 1)) stayAliveFor(pendingCount);
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
 * A promised lock, within the request's timeout and signal. Whatever settles it first wins, and ends
 * its timer and its abort listener. There may be thousands: what is not needed is not made.
 */
export abstract class PendingLock {
  readonly request: LockRequest;
  readonly promise: Promise<FileLock>;
  #resolve!: (lock: FileLock | Promise<FileLock>) => void;
  #reject!: (error: unknown) => void;
  #settled = false;
  #counted = false;
  #timer: NodeJS.Timeout | undefined;
  #onAbort: (() => void) | undefined;
  #trace: WaitTrace | undefined;

  /** The wait keeps the process alive, unless it is `forThread`: for something that only this thread does. */
  constructor(request: LockRequest, forThread = false) {
    this.request = request;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (!forThread) this.keepAlive();
    this.#limit(request);
  }

  /**
   * Says that this waits. Call it when it does: whoever is told may end the wait, or that for which it
   * waits, and one that begins only then would miss it.
   */
  announce(): void {
    this.#trace = messageOf(this.request);
    if (this.#trace !== undefined) traceWait(this.#trace);
  }

  /** Whether the signal has aborted, even if other listeners of it are told before this. */
  get aborted(): boolean {
    return this.request.signal?.aborted ?? false;
  }

  /** Takes this out of wherever it waits. */
  protected abstract cancel(): void;

  /** Looks once more, at the end of the time, and answers whether that brought the lock. */
  protected grantedAtLast(): boolean {
    return false;
  }

  /** False when it had ended before: then nobody will have the lock. */
  resolve(lock: FileLock | Promise<FileLock>): boolean {
    const ended = this.#end();
    if (ended) this.#resolve(lock);
    return ended;
  }

  reject(error: unknown): void {
    if (this.#end(error)) this.#reject(error);
  }

  /** Makes the wait keep the process alive, if it did not from its beginning. */
  keepAlive(): void {
    if (!this.#counted) count(1);
    this.#counted = true;
  }

  #limit({ signal, timeout, remote }: LockRequest): void {
    if (signal !== undefined) {
      this.#onAbort = () => this.#giveUp(() => signal.reason);
      onAbort(signal, this.#onAbort);
    }
    // Nobody waits 24 days. One attempt on a remote file system takes as long as it takes.
    if (timeout <= longestTimer && (timeout > 0 || !remote))
      this.#timer = setTimeout(() => this.#timeOut(), timeout);
  }

  #timeOut(): void {
    if (!this.grantedAtLast()) this.#giveUp(() => timeoutError(this.request));
  }

  #giveUp(error: () => unknown): void {
    if (this.#settled) return;
    // Before others have the lock because this goes: they were not in its way.
    const reason = error();
    this.cancel();
    this.reject(reason);
  }

  /** False when it had ended before. */
  #end(error?: unknown): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    if (this.#onAbort !== undefined) offAbort(this.request.signal as AbortSignal, this.#onAbort);
    if (this.#counted) count(-1);
    traceWaitEnd(this.#trace, this.request, error);
    return true;
  }
}
