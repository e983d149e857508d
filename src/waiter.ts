import { dispose } from './dispose.js';
import { FileLock } from './file-lock.js';
import type { Hold } from './hold.js';
import type { LockFile } from './lock-file.js';
import type { LockRequest } from './options.js';
import { isPatient } from './past-waiters.js';
import { PendingLock } from './pending.js';
import type { WaitQueue } from './wait-queue.js';

/** Somebody of this thread who waits for a lock. */
export class Waiter extends PendingLock {
  /** What its async context holds meanwhile, if anything. */
  readonly holding: readonly Hold[];
  readonly #queue: WaitQueue;
  /** Its neighbours in the queue, which alone may set them. */
  previous: Waiter | undefined;
  next: Waiter | undefined;

  constructor(
    queue: WaitQueue,
    request: LockRequest,
    holding: readonly Hold[],
    forThread: boolean,
  ) {
    super(request, forThread);
    this.holding = holding;
    this.#queue = queue;
  }

  /** Whether the wait ends by itself, so that it cannot be part of a deadlock. */
  get bounded(): boolean {
    return this.request.timeout !== Number.POSITIVE_INFINITY;
  }

  /** Answers the hold that this has begun, though it may have ended again, or null where it could not. */
  grant(file: LockFile): Hold | null {
    try {
      const lock = new FileLock(file, this.request);
      // Whoever is told of the grant may have ended the wait.
      if (!this.resolve(lock)) lock[dispose]();
      return lock.hold;
    } catch (error) {
      this.reject(error);
      return null;
    }
  }

  protected override grantedAtLast(): boolean {
    return isPatient(this.request) && this.#queue.pass(this);
  }

  protected override cancel(): void {
    this.#queue.leave(this);
  }
}
