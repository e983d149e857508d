import { setImmediate } from 'node:timers';
import type { LockLostError } from './errors.js';
import type { Hold } from './hold.js';

/** Why a lock is taken away from its holder. */
export type LossCause = 'lease' | 'releaseAll' | LockLostError;

/** What is told that a lock is lost. */
export type Loss = (error: LockLostError) => void;

/** Whoever has to be told when the lock is taken away from it. */
export interface Owner {
  /** Called once each when that happens; none may refer to the owner. */
  readonly onLost: readonly Loss[];
  takeAway(cause: LossCause): void;
  /** Called once the lock is not its any more, before anybody else is told to have it. */
  ended(): void;
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
  /** From the end of the turn of the event loop in which it was taken; until then it is among the fresh. */
  weakOwner: WeakRef<Owner> | undefined;
  readonly owners: WeakRef<Owners>;
  left: boolean;
  /** Called once when it is left; must not refer to the owner. */
  onLeft: (() => void) | undefined;
}

type LeakListener = (place: Place, outerLives: boolean) => void;
const leakListeners: LeakListener[] = [];

/** Registers what is told about a nested lock that was ended by the garbage collector. */
export function onNestedLeak(listener: LeakListener): void {
  leakListeners.push(listener);
}

const collected = new FinalizationRegistry<Place>((place) => {
  if (place.left) return;
  leavePlace(place);
  const owners = place.owners.deref();
  owners?.forget(place);
  const outerLives = owners !== undefined && !place.hold.ended;
  for (const listener of leakListeners) listener(place, outerLives);
});

// Most nested locks end soon. What is referred to weakly costs a collector more than such a lock costs
// in all, so that is begun for those that last.
const fresh = new Map<Place, Owner>();
let weakening = false;

function weakenLater(place: Place, owner: Owner): void {
  fresh.set(place, owner);
  if (!weakening) setImmediate(weaken);
  weakening = true;
}

function weaken(): void {
  weakening = false;
  for (const [place, owner] of fresh) {
    place.weakOwner = new WeakRef(owner);
    collected.register(owner, place);
  }
  fresh.clear();
}

function ownerAt(place: Place): Owner | undefined {
  return fresh.get(place) ?? place.weakOwner?.deref();
}

/** Notes that a nested lock has ended, however it did. */
export function leavePlace(place: Place): void {
  place.left = true;
  fresh.delete(place);
  place.onLeft?.();
}

const none: Set<Place> = new Set();

/**
 * Those who hold one lock together: the outermost, and all that nest in it. The nested ones are known
 * weakly, so that one that leaked is found although the outermost lives on.
 */
export class Owners {
  #outermost: Owner | undefined;
  // Both from the first nested one on: most locks have none.
  #nested = none;
  #self: WeakRef<Owners> | undefined;

  begin(outermost: Owner): void {
    this.#outermost = outermost;
  }

  end(): void {
    this.#outermost = undefined;
    this.#nested = none;
  }

  nest(owner: Owner, { hold, label, since, stack }: Nested): Place {
    this.#self ??= new WeakRef(this);
    if (this.#nested === none) this.#nested = new Set();
    const place: Place = {
      hold,
      label,
      since,
      stack,
      weakOwner: undefined,
      owners: this.#self,
      left: false,
      onLeft: undefined,
    };
    this.#nested.add(place);
    weakenLater(place, owner);
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
    for (const place of this.#nested) {
      const nested = ownerAt(place);
      if (nested !== undefined) return nested;
    }
    return undefined;
  }

  /** All that are left, the outermost first. */
  get all(): Owner[] {
    const nested = [...this.#nested].flatMap((place) => ownerAt(place) ?? []);
    return this.#outermost === undefined ? nested : [this.#outermost, ...nested];
  }

  #hasOthers(place: Place | undefined): boolean {
    if (this.#nested.size === 0) return false;
    if (place !== undefined && this.#outermost !== undefined) return true;
    for (const other of this.#nested) {
      if (other !== place && ownerAt(other) !== undefined) return true;
    }
    return false;
  }
}
