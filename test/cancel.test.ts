import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { heldLocks, lock, lockSync, tryLock, withLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { blockedOn, untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { patience, slowness } from './helpers/slowness.js';

/** An actor that holds the lock, and a way to make it let go. */
async function heldElsewhere(resource: string) {
  const actor = await Actor.start();
  await actor.run(({ holdfast, kept }, resource) => {
    kept['lock'] = holdfast.lockSync(resource, { label: 'append reply' });
  }, resource);
  const release = () => actor.run(({ kept }) => kept['lock'].release());
  return { actor, release };
}

const median = (numbers: number[]) =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number;

const isFree = (actor: Actor, resource: string) =>
  actor.run(({ holdfast }, resource) => {
    const lock = holdfast.tryLock(resource);
    lock?.release();
    return lock !== null;
  }, resource);

test('a wait that took too long says who holds the lock, and since when', async () => {
  const resource = temporaryResource();
  const { actor } = await heldElsewhere(resource);
  const error = await lock(resource, { timeout: 20 }).catch((error: unknown) => error);
  expect(error).toMatchObject({
    name: 'LockTimeoutError',
    code: 'ERR_LOCK_TIMEOUT',
    resource,
    lockPath: `${resource}.flock`,
    holder: { pid: actor.pid, label: 'append reply' },
  });
  expect((error as Error).message).toMatch(
    /^timed out after 20 ms waiting for an exclusive lock on .*: held for \d+\.\d s by pid \d+ on host .* \("append reply"\)$/,
  );
});

test('a timed-out wait rejects at its deadline, not before and not long after', async () => {
  const resource = temporaryResource();
  await heldElsewhere(resource);
  const waits: number[] = [];
  const delays: number[] = [];
  const attempts: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    const asked = performance.now();
    const timer = sleep(30).then(() => performance.now());
    await expect(lock(resource, { timeout: 30 })).rejects.toThrow('timed out');
    waits.push(performance.now() - asked);
    delays.push(performance.now() - (await timer));
    // What it takes to find out who holds the lock, and to say so.
    const again = performance.now();
    await expect(lock(resource, { timeout: 0 })).rejects.toThrow('timed out');
    attempts.push(performance.now() - again);
  }
  // Timers of Node count in whole ms, and may be late on a busy machine, but all of them then.
  expect(Math.min(...waits)).toBeGreaterThan(28.5);
  expect(median(delays)).toBeLessThan(5 * slowness + 2 * median(attempts));
});

const losesName = needs('open files that lose their name when they are deleted');

losesName('one timeout covers the queue, the kernel and every new start', async () => {
  const resource = temporaryResource();
  const { actor } = await heldElsewhere(resource);
  const patient = new AbortController();
  const first = lock(resource, { signal: patient.signal }).catch(() => 'aborted');
  const second = lock(resource, { timeout: 150 });
  const deadline = sleep(150).then(() => performance.now());
  // While it waits, the lock file is replaced again and again.
  const replaced = actor.run(async ({ holdfast, kept }, resource) => {
    const fs = process.getBuiltinModule('node:fs');
    for (let round = 0; round < 5; round += 1) {
      fs.rmSync(`${resource}.flock`);
      const next = holdfast.lockSync(resource);
      kept['lock'].release();
      kept['lock'] = next;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }, resource);
  await expect(second).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
  expect(performance.now() - (await deadline)).toBeLessThan(100 * slowness);
  await replaced;
  patient.abort();
  await expect(first).resolves.toBe('aborted');
});

test('an aborted wait rejects at once with the reason of the signal', async () => {
  const resource = temporaryResource();
  await heldElsewhere(resource);
  const reason = { because: 'the stream disconnected' };
  const controller = new AbortController();
  const waiting = lock(resource, { signal: controller.signal });
  await untilBlocked(`${resource}.flock`, 1);
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
});

test('an abort within the queue of a process leaves the others in their order', async () => {
  const resource = temporaryResource();
  const first = await lock(resource);
  const controller = new AbortController();
  const order: string[] = [];
  const a = withLock(resource, () => order.push('a'));
  const b = withLock(resource, { signal: controller.signal }, () => order.push('b'));
  const c = withLock(resource, () => order.push('c'));
  controller.abort();
  await expect(b).rejects.toThrow('abort');
  first.release();
  await Promise.all([a, c]);
  expect(order).toEqual(['a', 'c']);
});

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

test('with timeout 0, lock makes one attempt and answers through its promise', async () => {
  const resource = temporaryResource();
  const { release } = await heldElsewhere(resource);
  await expect(lock(resource, { timeout: 0 })).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
  await release();
  await expect(lock(resource, { timeout: 0 }).then((held) => held.held)).resolves.toBe(true);
});

test('one signal ends as many waits as there are, without a warning of a leak, and is forgotten then', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  const seen = await actor.run(async ({ holdfast }, resource) => {
    const { getEventListeners } = process.getBuiltinModule('node:events');
    const warnings: string[] = [];
    process.on('warning', ({ name }) => warnings.push(name));
    const held = holdfast.lockSync(resource);
    const { signal } = new AbortController();
    const granted = Array.from({ length: 20 }, () =>
      holdfast.withLock(resource, { signal }, () => {}),
    );
    held.release();
    await Promise.all(granted);
    const left = getEventListeners(signal, 'abort').length;
    const again = holdfast.lockSync(resource);
    const ending = new AbortController();
    const ended = Array.from({ length: 20 }, () =>
      holdfast.lock(resource, { signal: ending.signal }).catch((error: Error) => error.name),
    );
    ending.abort();
    const names = new Set(await Promise.all(ended));
    again.release();
    await new Promise(setImmediate);
    return { warnings, left, names: [...names] };
  }, resource);
  expect(seen).toEqual({ warnings: [], left: 0, names: ['AbortError'] });
});
