import { expect } from 'vitest';
import { faultyActor, setFault } from './helpers/faulty-actor.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { slowness } from './helpers/slowness.js';

const hour = 3600;

// The kernel's clock is behind the one that the process is shown: what is to end in a moment by that
// ends an hour later, as if the clock had been set back meanwhile.
async function actorWithLateClock() {
  const actor = await faultyActor();
  await setFault(actor, 'CLOCK', hour);
  return actor;
}

needs('faults by LD_PRELOAD')('a lease ends in time when the clock is set back', async () => {
  const actor = await actorWithLateClock();
  const lost = actor.next('lost');
  await actor.run(
    ({ holdfast, kept, emit }, resource, lease) => {
      const lock = holdfast.lockSync(resource, { lease });
      kept['lock'] = lock;
      lock.signal.addEventListener('abort', () => emit('lost', lock.signal.reason.code));
    },
    temporaryResource(),
    100 * slowness,
  );
  expect(await lost).toBe('ERR_LOCK_EXPIRED');
});

needs('faults by LD_PRELOAD')('lockSync times out when the clock is set back', async () => {
  const resource = temporaryResource();
  const [holder, waiter] = [await faultyActor(), await actorWithLateClock()];
  await holder.run(({ holdfast, kept }, resource) => {
    kept['lock'] = holdfast.lockSync(resource);
  }, resource);
  const wait = waiter.run(({ holdfast }, resource) => {
    holdfast.lockSync(resource, { timeout: 100 });
  }, resource);
  await expect(wait).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
});
