import { lock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';

// A dropped handle was still locked after 12 s in an idle process, because nothing asked for a
// collection, and is never collected when anything refers to it.
test('a collection frees a lock that nothing refers to, for a waiter elsewhere', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start({ execArgv: ['--expose-gc'], quiet: true });
  await actor.run(async ({ holdfast }, resource) => {
    await holdfast.lock(resource);
  }, resource);
  const waiting = lock(resource);
  await untilBlocked(`${resource}.flock`, 1);
  await actor.run(async () => {
    const { gc } = globalThis as unknown as { gc(): void };
    await new Promise(setImmediate);
    gc();
  });
  using held = await waiting;
  expect(held.previousHolder?.pid).toBe(actor.pid);
});

test('a collection frees a lock that nothing refers to, for a waiter of its own process', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start({ quiet: true });
  const outcome = await actor.run(async ({ holdfast }, resource) => {
    const take = async () => void (await holdfast.lock(resource));
    await take();
    const waiting = holdfast.lock(resource, { timeout: 10_000 });
    const reclaimed = await holdfast.reclaimLeaked();
    const lock = await waiting;
    return { reclaimed, held: lock.held, listed: holdfast.heldLocks().length };
  }, resource);
  expect(outcome).toEqual({ reclaimed: 1, held: true, listed: 1 });
});

test('a collection leaves a lock alone that something refers to', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start({ quiet: true });
  const outcome = await actor.run(async ({ holdfast, kept }, resource) => {
    kept['lock'] = await holdfast.lock(resource);
    const reclaimed = await holdfast.reclaimLeaked();
    return { reclaimed, held: kept['lock'].held };
  }, resource);
  expect(outcome).toEqual({ reclaimed: 0, held: true });
});

test.each(['tryLock', 'lockSync', 'lock', 'withLock'] as const)(
  'a hundred locks dropped after %s leave no descriptor and no lock behind',
  async (how) => {
    const resource = temporaryResource();
    const actor = await Actor.start({ quiet: true });
    const outcome = await actor.run(
      async ({ holdfast }, resource, how) => {
        process.removeAllListeners('warning');
        const take = async (path: string) => {
          if (how === 'withLock') void holdfast.withLock(path, () => new Promise(() => {}));
          else await holdfast[how](path);
        };
        for (let index = 0; index < 100; index += 1) await take(`${resource}-${index}`);
        const before = holdfast.heldLocks().length;
        const reclaimed = await holdfast.reclaimLeaked();
        return { before, reclaimed, after: holdfast.heldLocks().length };
      },
      resource,
      how,
    );
    expect(outcome.before).toBeGreaterThan(0);
    expect(outcome.after).toBeLessThanOrEqual(1);
  },
);
