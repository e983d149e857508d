import type { Waiter } from './waiter.js';

/**
 * Waiters in the order of their arrival. Not a Set: that keeps the places of those who were taken out
 * for a while, and whoever looks for the first one goes past all of them.
 */
export class WaiterList {
  #first: Waiter | undefined;
  #last: Waiter | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Waiter | undefined {
    return this.#first;
  }

  *[Symbol.iterator](): Generator<Waiter> {
    for (let waiter = this.#first; waiter !== undefined; waiter = waiter.next) yield waiter;
  }

  add(waiter: Waiter): void {
    waiter.previous = this.#last;
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
    this.#size += 1;
  }

  /** Does nothing for one that is not in the list. */
  remove(waiter: Waiter): void {
    const { previous, next } = waiter;
    if (previous === undefined && this.#first !== waiter) return;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    waiter.previous = undefined;
    waiter.next = undefined;
    this.#size -= 1;
  }
}
