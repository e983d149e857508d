import type { LockLostError } from './errors.js';
import type { Hold } from './lock-file.js';

/** Why a lock is taken away from its holder. */
export type LossCause = 'lease' | 'releaseAll' | LockLostError;

/** What is told that a lock is lost. */
export type Loss = (error: LockLostError) => void;

/** Whoever has to be told when the lock is taken away from it. */
export interface Owner {
  /** Called once each when that happens; none may refer to the owner. */
  readonly onLost: readonly Loss[];
  takeAway(cause: LossCause): void;
}

/** What is known of a lock that nests in another. */
export interface Nested {
  readonly hold: Hold;
  readonly label: string | null;
  readonly since: number;
  readonly stack: string | null;
}

/** Its place among those who hold the lock together, also when it has been collected. */
export interface Place extends Nested {
  readonly owner: WeakRef<Owner>;
  readonly owners: WeakRef<Owners>;
  left: boolean;
  /** Called once when it is left; must not refer to the owner. */
  onLeft: (() => void) | undefined;
}

const leakListeners: ((place: Place) => void)[] = [];

/** Registers what is told about a nested lock that was ended by the garbage collector. */
export function onNestedLeak(listener: (place: Place) => void): void {
  leakListeners.push(listener);
}

const collected = new FinalizationRegistry<Place>((place) => {
  if (place.left) return;
  leavePlace(place);
  const owners = place.owners.deref();
  // Where the lock itself is gone or was collected as well, that is another story.
  if (owners === undefined || place.hold.ended) return;
  owners.forget(place);
  for (const listener of leakListeners) listener(place);
});

/** Notes that a nested lock has ended, however it did. */
export function leavePlace(place: Place): void {
  place.left = true;
  place.onLeft?.();
}

/**
 * Those who hold one lock together: the outermost, and all that nest in it. The nested ones are known
 * weakly, so that one that leaked is found although the outermost lives on.
 */
export class Owners {
  readonly #self = new WeakRef(this);
  #outermost: Owner | undefined;
  readonly #nested = new Set<Place>();

  begin(outermost: Owner): void {
    this.#outermost = outermost;
  }

  end(): void {
    this.#outermost = undefined;
    this.#nested.clear();
  }

  nest(owner: Owner, nested: Nested): Place {
    const place: Place = {
      ...nested,
      owner: new WeakRef(owner),
      owners: this.#self,
      left: false,
      onLeft: undefined,
    };
    this.#nested.add(place);
    collected.register(owner, place);
    return place;
  }

  /** Takes out one of several, the outermost where no place is given. False for the last one, which stays. */
  leave(place: Place | undefined): boolean {
    if (!this.#hasOthers(place)) return false;
    if (place === undefined) this.#outermost = undefined;
    else this.#nested.delete(place);
    return true;
  }

  forget(place: Place): void {
    this.#nested.delete(place);
  }

  /** The outermost of those that are left. */
  get first(): Owner | undefined {
    if (this.#outermost !== undefined) return this.#outermost;
    for (const { owner } of this.#nested) {
      const nested = owner.deref();
      if (nested !== undefined) return nested;
    }
    return undefined;
  }

  /** All that are left, the outermost first. */
  get all(): Owner[] {
    const nested = [...this.#nested].flatMap(({ owner }) => owner.deref() ?? []);
    return this.#outermost === undefined ? nested : [this.#outermost, ...nested];
  }

  #hasOthers(place: Place | undefined): boolean {
    if (this.#nested.size === 0) return false;
    if (place !== undefined && this.#outermost !== undefined) return true;
    for (const other of this.#nested) {
      if (other !== place && other.owner.deref() !== undefined) return true;
    }
    return false;
  }
}
