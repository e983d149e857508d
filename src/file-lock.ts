import { asyncDispose, dispose } from './dispose.js';
import type { LockLostError } from './errors.js';
import { type Hold, newHold } from './hold.js';
import { type HolderRecord, parseHolderRecord } from './holder-record.js';
import { unwatchForLeak, watchForLeak } from './leak-check.js';
import { abortIfLeaked } from './leaked-signals.js';
import { forgetLease, joinLease, leaveLease, lossesOf, startLease } from './lease.js';
import type { LockFile } from './lock-file.js';
import { abortWith, lossFrom, lostError } from './loss.js';
import { addon, crashBeforeGrant, grantedToken, status } from './native.js';
import type { NestedQueue } from './nested-queue.js';
import { type LockMode, type LockRequest, toLease } from './options.js';
import { type Loss, type LossCause, leavePlace, type Place } from './owners.js';
import { errorFrom } from './system-error.js';
import { traceExpire, traceHold, traceRelease } from './tracing.js';

/**
 * A held lock. It ends with `release()`, with the `using` block or the `withLock` scope that it
 * belongs to, when its lease runs out, or when the process dies, whichever comes first.
 *
 * @example Guard a block
 * ```ts
 * import { lock } from 'holdfast';
 *
 * await using held = await lock('sessions/a.jsonl');
 * held.assertHeld();
 * ```
 */
export class FileLock implements Disposable, AsyncDisposable {
  /** The guarded path, as it was given. */
  readonly resource: string;
  /** The lock file, absolute. */
  readonly lockPath: string;
  readonly mode: LockMode;
  /** What the lock is for, as far as it is kept. */
  readonly label: string | null;
  /**
   * The fencing token: grows with each exclusive holder of this lock file, so that a store can
   * refuse a write that carries an older one. Undefined with `record: false`.
   */
  readonly token: bigint | undefined;
  /**
   * The last exclusive holder if it never marked its release, because it crashed, was killed or
   * lost its lease: the moment to check what it left behind. Undefined with `record: false`.
   */
  readonly previousHolder: HolderRecord | null | undefined;

  #file: LockFile | null;
  #hold: Hold;
  #lost: LockLostError | null = null;
  #announced: LockLostError | null = null;
  #controller: AbortController | undefined;
  #onLost: Loss[] | undefined;
  #place: Place | undefined;
  #nestedQueue: NestedQueue | undefined;

  /** @internal Takes over a lock that was just granted, or nests in the one that `outer` holds. */
  constructor(file: LockFile, request: LockRequest, outer?: FileLock) {
    this.resource = request.resource;
    this.lockPath = request.lockPath;
    this.mode = outer?.mode ?? request.mode;
    this.label = request.label;
    this.#file = file;
    if (outer !== undefined) {
      this.token = outer.token;
      this.previousHolder = outer.previousHolder;
      this.#hold = outer.#hold;
      this.#announced = outer.#announced;
      this.#place = file.owners.nest(this, {
        hold: this.#hold,
        label: this.label,
        since: addon.monotonicMs(),
        stack: request.stack,
      });
      if (this.#hold.lease > 0) joinLease(this.#hold, this);
      return;
    }
    if (request.recorded) {
      const crash = crashBeforeGrant();
      this.token = grantedToken();
      this.previousHolder = crash === null ? null : parseHolderRecord(crash);
    }
    this.#hold = newHold(request, file.number);
    file.begin(this.#hold, this);
    if (request.lease > 0) this.#startLease();
    if (request.leakCheck > 0) watchForLeak(this.#hold);
    traceHold(this.#hold);
  }

  /** Whether the lock is held at this moment. */
  get held(): boolean {
    return this.#file?.held ?? false;
  }

  /**
   * Aborts when the lock is lost: with `LockExpiredError` when the lease ran out, with
   * `LockLostError` when something else took it away or the lock itself was leaked. A release does
   * not abort it.
   */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.onLost.push(abortWith(this.#controller));
      abortIfLeaked(this.#place ?? this.#hold, this.#controller);
      const reason = this.#lost ?? this.#announced;
      if (reason !== null) this.#controller.abort(reason);
    }
    return this.#controller.signal;
  }

  /**
   * Starts the lease anew, from now on.
   *
   * @param lease ms; default: the lease that the lock has. Without one, this only checks.
   * @throws {LockLostError} (`ERR_LOCK_LOST`, `ERR_LOCK_EXPIRED`) when the lock is not held any more.
   * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) when the lease is not a number above 0.
   * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when a lock that had no lease gets
   *   one and there is no thread to watch it: it is still held then, without one.
   */
  renew(lease?: number): void {
    const next = lease === undefined ? this.#hold.lease : toLease(lease);
    if (next === 0) this.assertHeld();
    else this.#limit(next);
  }

  /**
   * Does nothing while the lock is held: call it right before you publish a write.
   *
   * @throws {LockLostError} (`ERR_LOCK_LOST`, `ERR_LOCK_EXPIRED`) when the lock is not held any more.
   */
  assertHeld(): void {
    if (this.held) return;
    // The watchdog was there first, and its message is still on its way to this event loop.
    if (this.#file !== null) this.takeAway('lease');
    throw this.#lost ?? lostError(`the lock on ${this.resource} was released before`, this.#hold);
  }

  /**
   * Unlocks and closes. Does nothing when that was done before or the lock was lost.
   *
   * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when the operating system
   *   refuses to unlock: the lock is still held then, and `release()` can be called again.
   */
  release(): void {
    const file = this.#file;
    if (file === null) return;
    if (this.#hold.lease > 0 && !file.held) {
      this.takeAway('lease');
      return;
    }
    if (file.owners.leave(this.#place)) {
      this.#file = null;
      if (this.#hold.lease > 0) leaveLease(this.#hold, this);
    } else {
      this.#giveUp(file);
    }
    this.#leave();
  }

  /**
   * As `release()`, but a lock that cannot be unlocked ends all the same: its file is closed.
   *
   * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` where the operating system refused.
   */
  [dispose](): void {
    try {
      this.release();
    } catch (error) {
      this.abandon(error);
      throw error;
    }
  }

  /** The same through a promise, which nothing is waited for. */
  async [asyncDispose](): Promise<void> {
    this[dispose]();
  }

  /** What `JSON.stringify` shows; the token is a string there. */
  toJSON(): object {
    const { resource, lockPath, mode, label, token, previousHolder, held } = this;
    return { resource, lockPath, mode, label, token: token?.toString(), previousHolder, held };
  }

  /** @internal Called once each if the lock is lost; none may refer to this object. */
  get onLost(): Loss[] {
    this.#onLost ??= [];
    return this.#onLost;
  }

  /** @internal Those that nest in this lock, if it nests itself. */
  get nestedQueue(): NestedQueue | undefined {
    return this.#nestedQueue;
  }

  /** @internal `onLeft` is called once when this nested lock has ended, however it did. */
  nestWith(queue: NestedQueue, onLeft: () => void): void {
    this.#nestedQueue = queue;
    if (this.#place !== undefined) this.#place.onLeft = onLeft;
  }

  /** @internal */
  get hold(): Hold {
    return this.#hold;
  }

  /** @internal */
  get lost(): LockLostError | null {
    return this.#lost;
  }

  /** @internal */
  nest(request: LockRequest): FileLock | null {
    return this.#file === null ? null : new FileLock(this.#file, request, this);
  }

  /** @internal Aborts the signal although the lock is still held: its holder has little time left. */
  announceLoss(error: LockLostError): void {
    const owners = (this.#file?.owners.all ?? []) as FileLock[];
    for (const owner of owners) owner.#announced = error;
    for (const owner of owners) owner.#controller?.abort(error);
  }

  /** @internal Ends the hold for this object and all that share it, and tells them why. */
  takeAway(cause: LossCause): void {
    const file = this.#file;
    if (file === null) return;
    const { successor } = file;
    const owners = file.owners.all as FileLock[];
    const told = new Set([...owners.map(({ onLost }) => onLost), ...lossesOf(this.#hold)]);
    const error = lossFrom(cause, this.#hold);
    // All of them first: those who are told may do anything, also with the next holder of this file.
    for (const owner of owners) {
      owner.#file = null;
      owner.#lost = error;
    }
    if (cause === 'releaseAll') file.forceUnlock();
    else file.revoke();
    if (cause === 'lease') traceExpire(this.#hold);
    this.ended();
    for (const listeners of told) {
      for (const listener of listeners) listener(error);
    }
    for (const owner of owners) owner.#leave();
    successor?.vanished(file.number);
    file.recycle();
  }

  /** @internal Ends a lock that could not be released and that nobody is left to release again. */
  abandon(cause: unknown): void {
    const what = `the lock on ${this.resource} could not be unlocked, so its file was closed`;
    this.takeAway(lostError(what, this.#hold, cause));
  }

  #giveUp(file: LockFile): void {
    const { successor } = file;
    if (successor !== null) {
      successor.takeFrom(file, this);
      return;
    }
    const result = file.unlock();
    if (result < 0) throw errorFrom(result, this);
    this.ended();
    file.recycle();
  }

  #leave(): void {
    if (this.#place !== undefined) leavePlace(this.#place);
  }

  /** @internal The lock was let go or handed over. */
  ended(): void {
    this.#file = null;
    this.#hold.ended = true;
    if (this.#hold.lease > 0) forgetLease(this.#hold);
    if (this.#hold.leakCheck > 0) unwatchForLeak(this.#hold);
    traceRelease(this.#hold);
  }

  // Without a thread to watch it there is no lease, and without the lease no lock.
  #startLease(): void {
    try {
      this.#limit(this.#hold.lease);
    } catch (error) {
      this[dispose]();
      throw error;
    }
  }

  #limit(lease: number): void {
    const file = this.#file;
    const result = file === null ? status.contended : startLease(file, this.#hold, lease);
    if (result < 0) throw errorFrom(result, this);
    if (result !== status.done) this.assertHeld();
  }
}
