import { Actor } from './actor.js';

/** An actor that holds the lock, and a way to make it let go. */
export async function heldElsewhere(resource: string) {
  const actor = await Actor.start();
  await actor.run(({ holdfast, kept }, resource) => {
    kept['lock'] = holdfast.lockSync(resource, { label: 'append reply' });
  }, resource);
  const release = () => actor.run(({ kept }) => kept['lock'].release());
  return { actor, release };
}
