import { type Hold, isEndless } from './hold.js';
import { LockFile, type Successor } from './lock-file.js';
import type { LockRequest } from './options.js';

/** The holders of one lock file that are in this thread; they tell the queue when they are done. */
export class LocalHolders {
  readonly #queue: Successor;
  // Apart from the others, because a lock that goes from hand to hand has no other.
  #exclusive: Hold | undefined;
  readonly #shared = new Map<number, Hold>();

  constructor(queue: Successor) {
    this.#queue = queue;
  }

  /** Those that have not ended. */
  get holds(): Hold[] {
    return [...this.#all()].filter((hold) => !hold.ended);
  }

  /** One that lasts until it is released. */
  get endless(): Hold | undefined {
    const first = this.#exclusive;
    if (first !== undefined && !first.ended && isEndless(first)) return first;
    return this.#shared.size === 0 ? undefined : this.holds.find(isEndless);
  }

  *#all(): Generator<Hold> {
    if (this.#exclusive !== undefined) yield this.#exclusive;
    yield* this.#shared.values();
  }

  /** One that tells another queue already is as good as one in another process. */
  add(file: LockFile, granted = file.hold): void {
    const { hold } = file;
    // Whoever was told of the grant may have ended it, and used the file object for another lock.
    if (hold === null || hold !== granted) return;
    if (file.successor !== null && file.successor !== this.#queue) return;
    file.successor = this.#queue;
    if (hold.mode === 'exclusive') this.#exclusive = hold;
    else this.#shared.set(hold.number, hold);
  }

  /** Adds those that hold the lock of this open file. */
  meet(file: LockFile): void {
    for (const holder of file.holders()) this.add(holder);
  }

  remove(number: number): void {
    if (this.#exclusive?.number === number) this.#exclusive = undefined;
    else this.#shared.delete(number);
  }

  /** Whether this is the only one. */
  isLast(number: number): boolean {
    if (this.#exclusive?.number === number) return this.#shared.size === 0;
    return this.#exclusive === undefined && this.#shared.size === 1 && this.#shared.has(number);
  }

  /** Whether one of them would have to end before this request can be granted. */
  block({ mode }: LockRequest): boolean {
    return this.#exclusive !== undefined || (mode === 'exclusive' && this.#shared.size > 0);
  }

  /** Nobody waits for them any more. */
  forget(): void {
    for (const { number } of this.#all()) {
      const file = LockFile.byNumber(number);
      if (file?.successor === this.#queue) file.successor = null;
    }
    this.#exclusive = undefined;
    this.#shared.clear();
  }
}
