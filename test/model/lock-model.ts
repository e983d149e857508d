export type Mode = 'exclusive' | 'shared';

/** Somebody who asked for a lock, and what became of it. */
export interface Party {
  readonly name: string;
  readonly mode: Mode;
  readonly resource: LockModel;
  /** On the clock of the test; what is waited for until then. */
  readonly deadline: number;
  readonly leased: boolean;
  state: 'waiting' | 'holding' | 'gone';
  /** The code of the error that it must be told, or that of its signal. */
  failure?: string;
  hold?: Hold;
}

/** One hold of the lock, with all that nest in it. */
export interface Hold {
  readonly mode: Mode;
  readonly taker: Party;
  readonly owners: Set<Party>;
  /** Those that wait to nest in it, after the one that does. */
  readonly siblings: Party[];
  nested: Party | undefined;
  /** Whether the exclusive holder before never said that it was done; undefined where that is not known. */
  readonly afterCrash: boolean | undefined;
  leased: boolean;
}

/**
 * One lock as the documents have it: holders that may be together, and all others in the order in which they
 * came. It knows nothing of files, queues in the kernel or threads.
 */
export class LockModel {
  readonly name: string;
  readonly holds = new Set<Hold>();
  readonly queue: Party[] = [];
  /**
   * Whether the lock file was deleted or replaced while somebody held or wanted it. Who has the old one and
   * who the new one is not for a model to say: what is granted is taken over then, see `adopt()`.
   */
  unsure = false;
  /** Whether there may be waits in the kernel that nobody wants any more: each has the lock for a moment. */
  lagging = false;
  crashed: boolean | undefined = false;
  /** How often the lock file was deleted or replaced. */
  generation = 0;

  constructor(name: string) {
    this.name = name;
  }

  allows(mode: Mode): boolean {
    const shared = mode === 'shared' && [...this.holds].every((hold) => hold.mode === 'shared');
    return this.holds.size === 0 || shared;
  }

  /** Whether somebody who comes now has the lock at once. */
  isOpenTo(mode: Mode): boolean {
    return this.queue.length === 0 && this.allows(mode);
  }

  wait(party: Party): void {
    this.queue.push(party);
    this.#grant();
  }

  take(party: Party): void {
    party.state = 'holding';
    const owners = new Set([party]);
    const afterCrash = this.unsure ? undefined : this.crashed;
    const { mode, leased } = party;
    const rest = { siblings: [], nested: undefined, afterCrash, leased };
    party.hold = { mode, taker: party, owners, ...rest };
    this.holds.add(party.hold);
    if (party.mode === 'exclusive') this.crashed = false;
  }

  /** Nests in a hold, or waits for its turn to do so. */
  nest(party: Party, hold: Hold): void {
    party.hold = hold;
    if (hold.mode === 'shared') this.#enter(party, hold);
    else if (hold.nested === undefined) hold.nested = this.#enter(party, hold);
    else hold.siblings.push(party);
  }

  /** Somebody waits no longer. */
  leave(party: Party, failure: string): void {
    fail(party, failure);
    this.lagging ||= this.queue.includes(party);
    remove(this.queue, party);
    if (party.hold !== undefined) remove(party.hold.siblings, party);
    this.#grant();
  }

  release(party: Party): void {
    party.state = 'gone';
    const { hold } = party;
    if (hold === undefined) return;
    hold.owners.delete(party);
    if (hold.nested === party) {
      const next = hold.owners.size === 0 ? undefined : hold.siblings.shift();
      hold.nested = next && this.#enter(next, hold);
    }
    if (hold.owners.size === 0) this.#end(hold);
  }

  /** A hold is lost, for all who share it. */
  lose(hold: Hold, failure: string, crashed: boolean): void {
    for (const owner of hold.owners) fail(owner, failure);
    hold.owners.clear();
    if (hold.mode === 'exclusive') this.crashed = crashed;
    this.#end(hold);
  }

  /** The lock file was deleted, or another one is in its place. */
  replace(): void {
    this.generation += 1;
    this.unsure = this.holds.size > 0 || this.queue.length > 0;
    this.crashed = this.unsure ? undefined : false;
  }

  /** Somebody was granted the lock of a file of which the model is not sure. */
  adopt(party: Party): void {
    remove(this.queue, party);
    this.take(party);
  }

  #enter(party: Party, hold: Hold): Party {
    party.state = 'holding';
    hold.owners.add(party);
    return party;
  }

  #end(hold: Hold): void {
    this.holds.delete(hold);
    this.#grant();
  }

  #grant(): void {
    if (this.unsure && this.holds.size === 0 && this.queue.length === 0) {
      this.unsure = false;
      this.crashed = undefined;
    }
    if (this.unsure) return;
    for (
      let next = this.queue[0];
      next !== undefined && this.allows(next.mode);
      [next] = this.queue
    ) {
      this.queue.shift();
      this.take(next);
    }
  }
}

function fail(party: Party, failure: string): void {
  party.state = 'gone';
  party.failure = failure;
}

function remove(list: Party[], party: Party): void {
  const index = list.indexOf(party);
  if (index >= 0) list.splice(index, 1);
}
