import type { Hold } from './hold.js';
import { lostError } from './loss.js';
import { onNestedLeak, type Place } from './owners.js';
import { onLeak } from './remains.js';

// A task may live on with nothing but the signal of its lock. Neither the signal nor its listeners
// are referred to from here: they may refer to the lock. The controller lives as long as the signal.
const controllers = new WeakMap<AbortSignal, AbortController>();
const signals = new WeakMap<Hold | Place, WeakRef<AbortSignal>>();

/** Has the signal of a lock abort if the lock leaks and somebody still listens. */
export function abortIfLeaked(lock: Hold | Place, controller: AbortController): void {
  const { signal } = controller;
  controllers.set(signal, controller);
  signals.set(lock, new WeakRef(signal));
}

function abort(lock: Hold | Place, hold: Hold): void {
  const signal = signals.get(lock)?.deref();
  if (signal === undefined) return;
  const what = `the lock on ${hold.resource} was leaked: nothing refers to its holder any more`;
  controllers.get(signal)?.abort(lostError(what, hold));
}

onLeak((hold) => abort(hold, hold));
onNestedLeak((place) => abort(place, place.hold));
