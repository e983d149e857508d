import { type Hold, LockFile, type Successor } from './lock-file.js';
import type { LockRequest } from './options.js';

/** The holders of one lock file that are in this thread; they tell the queue when they are done. */
export class LocalHolders {
  readonly #queue: Successor;
  readonly #holds = new Map<number, Hold>();

  constructor(queue: Successor) {
    this.#queue = queue;
  }

  /** Those that have not ended. */
  get holds(): Hold[] {
    return [...this.#holds.values()].filter((hold) => !hold.ended);
  }

  /** One that tells another queue already is as good as one in another process. */
  add(file: LockFile): void {
    if (file.hold === null || (file.successor !== null && file.successor !== this.#queue)) return;
    file.successor = this.#queue;
    this.#holds.set(file.number, file.hold);
  }

  /** Adds those that hold the lock of this open file. */
  meet(file: LockFile): void {
    for (const holder of file.holders()) this.add(holder);
  }

  remove(number: number): void {
    this.#holds.delete(number);
  }

  /** Whether this is the only one. */
  isLast(number: number): boolean {
    return this.#holds.size === 1 && this.#holds.has(number);
  }

  /** Whether one of them would have to end before this request can be granted. */
  block(request: LockRequest): boolean {
    for (const hold of this.#holds.values()) {
      if (hold.mode === 'exclusive' || request.mode === 'exclusive') return true;
    }
    return false;
  }

  /** Nobody waits for them any more. */
  forget(): void {
    for (const number of this.#holds.keys()) {
      const file = LockFile.byNumber(number);
      if (file?.successor === this.#queue) file.successor = null;
    }
    this.#holds.clear();
  }
}
