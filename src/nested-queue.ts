import type { Hold } from './hold.js';
import type { LockRequest } from './options.js';

/** Somebody who waits to nest in a scope. */
export interface NestedWaiter {
  readonly request: LockRequest;
  keepAlive(): void;
  reject(error: unknown): void;
  /** Answers whether the waiter has nested now. */
  enter(): boolean;
}

const waited = new Set<NestedQueue>();

/** Those that nest in one lock, one after the other. Does not refer to the lock: contexts keep this. */
export class NestedQueue {
  readonly hold: Hold;
  #outer: NestedQueue | undefined;
  readonly #waiters = new Set<NestedWaiter>();
  #busy = false;
  #closed = false;

  /** `outer` is the queue that the lock itself is in, if it nests. */
  constructor(hold: Hold, outer?: NestedQueue) {
    this.hold = hold;
    this.#outer = outer;
    for (let queue = outer; queue !== undefined; queue = queue.#outer) queue.#skipEnded();
  }

  /**
   * Has the turn passed on past those around it that would do nothing else. Whoever nests anew before each
   * end of the last one would have an endless chain of them.
   */
  #skipEnded(): void {
    let outer = this.#outer;
    while (outer?.closed && outer.#waiters.size === 0) outer = outer.#outer;
    this.#outer = outer;
  }

  /** Those in which somebody waits. */
  static waited(): Iterable<NestedQueue> {
    return waited;
  }

  get waiters(): Iterable<NestedWaiter> {
    return this.#waiters;
  }

  /** Whether the lock was released, which is nothing to nest in. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The queue to be in for tasks of the scope: a lock that was released is nothing to nest in. */
  get current(): NestedQueue {
    return this.#closed && this.#outer !== undefined ? this.#outer.current : this;
  }

  /** Takes the turn if nobody has it. */
  tryEnter(): boolean {
    if (this.#busy) return false;
    this.#busy = true;
    return true;
  }

  join(waiter: NestedWaiter): void {
    this.#waiters.add(waiter);
    waited.add(this);
  }

  /** Takes out somebody who does not want to nest any more. */
  leave(waiter: NestedWaiter): void {
    this.#waiters.delete(waiter);
    if (this.#waiters.size === 0) waited.delete(this);
  }

  /** The one whose turn it was is done. */
  pass(): void {
    for (const next of this.#waiters) {
      this.leave(next);
      if (next.enter()) return;
    }
    this.#busy = false;
    if (this.#closed) this.#outer?.pass();
  }

  /** The lock was released. Its turn goes on while something that nests in it is there. */
  close(): void {
    this.#closed = true;
    if (!this.#busy) this.#outer?.pass();
  }
}
