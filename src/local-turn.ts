// A thread with a long queue of its own lets other processes have their turn after this.
const mostHandOvers = 64;
const longestTurnMs = 10;

/** Counts how long a lock has gone from hand to hand within this thread. */
export class LocalTurn {
  #started = 0;
  #handOvers = 0;

  /** Counts a hand-over; true when it is others' turn instead, and the next turn begins. */
  isOver(): boolean {
    if (this.#handOvers === 0) this.#started = performance.now();
    this.#handOvers += 1;
    const over =
      this.#handOvers > mostHandOvers || performance.now() - this.#started > longestTurnMs;
    if (over) this.end();
    return over;
  }

  end(): void {
    this.#handOvers = 0;
  }
}
