import type { Actor } from './actor.js';

/** Has an actor take the lock, and keep it. */
export const take = (actor: Actor, resource: string, how: 'lock' | 'tryLock' | 'lockSync') =>
  actor.run(
    async ({ holdfast, kept }, resource, how) => {
      kept['lock'] = await holdfast[how](resource);
      return kept['lock']?.held ?? null;
    },
    resource,
    how,
  );

/** Has it let go of that. */
export const letGo = (actor: Actor) =>
  actor.run(({ kept }) => {
    kept['lock'].release();
    return kept['lock'].held as boolean;
  });
