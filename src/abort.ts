const listeners = new WeakMap<AbortSignal, Set<() => void>>();

function tellAll(this: AbortSignal): void {
  for (const listener of listeners.get(this) ?? []) listener();
}

/**
 * Calls the listener when the signal aborts. All of this library are one listener of the signal: Node
 * warns of a leak at more than ten, and many waits may well end with one signal.
 */
export function onAbort(signal: AbortSignal, listener: () => void): void {
  const all = listeners.get(signal) ?? new Set();
  listeners.set(signal, all.add(listener));
  // Without effect where it was added before.
  signal.addEventListener('abort', tellAll);
}

/** A signal without listeners can be collected, so the last one to leave takes ours away. */
export function offAbort(signal: AbortSignal, listener: () => void): void {
  const all = listeners.get(signal);
  all?.delete(listener);
  if (all?.size === 0) signal.removeEventListener('abort', tellAll);
}
