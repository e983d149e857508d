import type { Actor } from './actor.js';

/** Whether an actor gets the lock at once, which it gives back. */
export const isFree = (actor: Actor, resource: string) =>
  actor.run(({ holdfast }, resource) => {
    const lock = holdfast.tryLock(resource);
    lock?.release();
    return lock !== null;
  }, resource);
