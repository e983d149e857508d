import type { LockFile } from './lock-file.js';

// A thread with a long queue of its own lets other processes have their turn after this.
const mostHandOvers = 64;
const longestMs = 10;

/** How long the tasks of one thread have handed a lock to each other. */
export class Turn {
  #started = 0;
  #handOvers = 0;

  /** The lock came from outside, or goes there. */
  end(): void {
    this.#handOvers = 0;
  }

  /** Whether the next hand-over, by this holder, should be to others instead. */
  isOver(holder: LockFile): boolean {
    if (this.#handOvers === 0) this.#started = performance.now();
    this.#handOvers += 1;
    if (this.#handOvers % mostHandOvers === 0 && holder.isAwaited) return true;
    // Programs that wait in their own way, like flock(1), are not seen, and get their turn all the same.
    return performance.now() - this.#started > longestMs;
  }
}
