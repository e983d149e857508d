import { readdirSync } from 'node:fs';
import { heldLocks, lock, lockSync, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { blockedOn, untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { heldElsewhere } from './helpers/held-elsewhere.js';
import { isFree } from './helpers/is-free.js';
import { needs } from './helpers/needs.js';
import { patience } from './helpers/slowness.js';

needs('/proc')('a hundred waits that were given up leave one thread behind', async () => {
  const resource = temporaryResource();
  const { release } = await heldElsewhere(resource);
  const waiting = await Actor.start();
  const threads = await waiting.run(async ({ holdfast }, resource) => {
    const { readdirSync } = process.getBuiltinModule('node:fs');
    const count = () => readdirSync('/proc/self/task').length;
    const before = count();
    let most = 0;
    for (let round = 0; round < 100; round += 1) {
      await holdfast.lock(resource, { timeout: 1 }).catch(() => {});
      most = Math.max(most, count() - before);
    }
    return most;
  }, resource);
  expect(threads).toBe(1);
  expect(blockedOn(`${resource}.flock`)).toBe(1);
  await release();
  // The one left behind is granted before or, on a busy machine, after, and gives its lock back.
  (await lock(resource, { timeout: patience })).release();
  await untilBlocked(`${resource}.flock`, 0);
});

needs('/proc')('a hundred lockSync calls that timed out leave one thread behind', async () => {
  const resource = temporaryResource();
  const { release } = await heldElsewhere(resource);
  const threads = () => readdirSync('/proc/self/task').length;
  const before = threads();
  for (let round = 0; round < 100; round += 1) {
    expect(() => lockSync(resource, { timeout: 1 })).toThrow('timed out');
  }
  // None more if one was parked here before.
  expect(threads()).toBeLessThanOrEqual(before + 1);
  expect(blockedOn(`${resource}.flock`)).toBe(1);
  await release();
  await untilBlocked(`${resource}.flock`, 0);
  using held = lockSync(resource);
  expect(held.held).toBe(true);
});

needs('/proc')('a wait that was given up keeps its place for the next one', async () => {
  const resource = temporaryResource();
  const { release } = await heldElsewhere(resource);
  const later = await Actor.start();
  const controller = new AbortController();
  const givenUp = lock(resource, { signal: controller.signal });
  await untilBlocked(`${resource}.flock`, 1);
  controller.abort();
  await expect(givenUp).rejects.toThrow('abort');
  const theirs = later.run(async ({ holdfast, emit }, resource) => {
    await holdfast.lock(resource);
    emit('granted');
  }, resource);
  await untilBlocked(`${resource}.flock`, 2);
  const ours = lock(resource);
  await release();
  const winner = await Promise.race([ours.then(() => 'ours'), later.next('granted')]);
  expect(winner).toBe('ours');
  (await ours).release();
  await theirs;
});

test('lock goes on with a wait that lockSync gave up', async () => {
  const resource = temporaryResource();
  const { release } = await heldElsewhere(resource);
  expect(() => lockSync(resource, { timeout: 1 })).toThrow('timed out');
  const waiting = lock(resource, { timeout: patience });
  await release();
  using held = await waiting;
  expect(held.held).toBe(true);
});

test('lockSync goes on with a wait that lock gave up', async () => {
  const resource = temporaryResource();
  const { actor } = await heldElsewhere(resource);
  await expect(lock(resource, { timeout: 1 })).rejects.toThrow('timed out');
  await actor.run(({ kept }) => {
    setTimeout(() => kept['lock'].release(), 20);
  });
  using held = lockSync(resource, { timeout: patience });
  expect(held.held).toBe(true);
});

test('a wait that was given up takes nothing when its turn comes', async () => {
  const resource = temporaryResource();
  const { actor, release } = await heldElsewhere(resource);
  await expect(lock(resource, { timeout: 1 })).rejects.toThrow('timed out');
  await release();
  await untilBlocked(`${resource}.flock`, 0);
  expect(heldLocks()).toEqual([]);
  await expect(lock(resource, { timeout: patience }).then((held) => held.release())).resolves.toBe(
    undefined,
  );
  await expect(isFree(actor, resource)).resolves.toBe(true);
});

needs('/proc')('an abort wins over a grant of the same instant, which is rolled back', async () => {
  const resource = temporaryResource();
  const { actor } = await heldElsewhere(resource);
  const controller = new AbortController();
  const waiting = lock(resource, { signal: controller.signal });
  await untilBlocked(`${resource}.flock`, 1);
  await actor.run(({ kept }) => {
    setTimeout(() => kept['lock'].release(), 10);
  });
  // The thread gets its lock, of which this event loop, busy here, does not hear.
  while (blockedOn(`${resource}.flock`) > 0);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  controller.abort(new Error('too late'));
  // What is taken from now on is another lock, which the wait of before must not touch. On a busy
  // machine the thread may not have noticed its grant yet; then it gives the lock back by itself.
  let later = tryLock(resource);
  while (later === null) later = tryLock(resource);
  await expect(waiting).rejects.toThrow('too late');
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  expect(later.held).toBe(true);
  await expect(isFree(actor, resource)).resolves.toBe(false);
  later.release();
  await expect(isFree(actor, resource)).resolves.toBe(true);
});

needs('/proc')('a wait that was given up never releases a later lock', async () => {
  const resource = temporaryResource();
  const { actor, release } = await heldElsewhere(resource);
  const controller = new AbortController();
  const waiting = lock(resource, { mode: 'shared', signal: controller.signal });
  await untilBlocked(`${resource}.flock`, 1);
  controller.abort();
  await expect(waiting).rejects.toThrow('abort');
  const later = lock(resource);
  // Behind the other one: if it came to the kernel's queue only now, it could be first.
  await untilBlocked(`${resource}.flock`, 2);
  await release();
  using held = await later;
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  await untilBlocked(`${resource}.flock`, 0);
  expect(held.held).toBe(true);
  await expect(isFree(actor, resource)).resolves.toBe(false);
});

test('waits that are given up at the moment of the grant lose no lock', async () => {
  const resource = temporaryResource();
  const { actor, release } = await heldElsewhere(resource);
  let granted = 0;
  for (let round = 0; round < 200; round += 1) {
    const controller = new AbortController();
    const waiting = lock(resource, { signal: controller.signal }).then(
      (held) => {
        granted += 1;
        held.release();
      },
      () => {},
    );
    const released = release();
    // From before the release to after the grant.
    for (let turn = 0; turn < round % 20; turn += 1) await new Promise(setImmediate);
    controller.abort();
    await Promise.all([waiting, released]);
    await actor.run(({ holdfast, kept }, resource) => {
      kept['lock'] = holdfast.lockSync(resource, { timeout: 5_000 });
    }, resource);
  }
  expect(granted).toBeLessThan(200);
  await release();
  await expect(isFree(actor, resource)).resolves.toBe(true);
});
