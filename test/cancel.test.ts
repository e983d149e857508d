import { setTimeout as sleep } from 'node:timers/promises';
import { lock, tryLock, withLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { heldElsewhere } from './helpers/held-elsewhere.js';
import { needs } from './helpers/needs.js';
import { slowness } from './helpers/slowness.js';

const median = (numbers: number[]) =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number;

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

test('who releases when a signal aborts does not hand the lock to somebody whose wait it ends', async () => {
  const resource = temporaryResource();
  const controller = new AbortController();
  const { signal } = controller;
  const first = await lock(resource);
  // Before those of the waits, which are told later.
  signal.addEventListener('abort', () => first.release());
  const waits = [lock(resource, { signal }), lock(resource), lock(resource, { signal })];
  const outcomes = Promise.allSettled(waits);
  (await Promise.all([waits[1], controller.abort()]))[0]?.release();
  expect((await outcomes).map(({ status }) => status)).toEqual([
    'rejected',
    'fulfilled',
    'rejected',
  ]);
});

test('a signal that ends several waits grants the lock to none of them', async () => {
  const resource = temporaryResource();
  const controller = new AbortController();
  const { signal } = controller;
  using _ = tryLock(resource, { mode: 'shared' });
  const writer = lock(resource, { signal });
  const reader = lock(resource, { signal, mode: 'shared' });
  controller.abort();
  await expect(writer).rejects.toThrow('abort');
  await expect(reader).rejects.toThrow('abort');
});

test('who releases a nested lock when a signal aborts does not have somebody nest whose wait it ends', async () => {
  const resource = temporaryResource();
  const controller = new AbortController();
  const { signal } = controller;
  await withLock(resource, async () => {
    const first = await lock(resource, { reentrant: true });
    signal.addEventListener('abort', () => first.release());
    const second = lock(resource, { reentrant: true, signal });
    const third = lock(resource, { reentrant: true });
    controller.abort();
    await expect(second).rejects.toThrow('abort');
    (await third).release();
  });
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
