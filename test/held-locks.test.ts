import { heldLocks, lock, lockSync, releaseAll, tryLock } from 'holdfast';
import { afterEach, expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryFolder, temporaryResource } from './helpers/folder.js';
import { heldElsewhere } from './helpers/held-elsewhere.js';
import { needs } from './helpers/needs.js';

afterEach(() => {
  releaseAll();
});

test('heldLocks lists what is held, and nothing else', async () => {
  expect(heldLocks()).toEqual([]);
  const folder = temporaryFolder();
  const first = await lock(`${folder}/a`, { label: 'first' });
  const second = lockSync(`${folder}/b`, { mode: 'shared' });
  expect(heldLocks()).toEqual([
    {
      resource: `${folder}/a`,
      lockPath: first.lockPath,
      mode: 'exclusive',
      label: 'first',
      ageMs: expect.any(Number),
    },
    expect.objectContaining({ resource: `${folder}/b`, mode: 'shared', label: null }),
  ]);
  first.release();
  expect(heldLocks().map(({ resource }) => resource)).toEqual([`${folder}/b`]);
  second.release();
  expect(heldLocks()).toEqual([]);
});

test('heldLocks lists no lock that is waited for', async () => {
  const resource = temporaryResource();
  const held = await lock(resource);
  const waiting = lock(resource);
  expect(heldLocks()).toHaveLength(1);
  held.release();
  (await waiting).release();
  expect(heldLocks()).toEqual([]);
});

test('the age of a held lock grows', async () => {
  using held = lockSync(temporaryResource());
  const age = () => heldLocks()[0]?.ageMs ?? Number.NaN;
  const before = age();
  expect(held.held).toBe(true);
  expect(before).toBeGreaterThanOrEqual(0);
  while (age() <= before) await new Promise(setImmediate);
});

test('a lock that was waited for is as old as its grant', async () => {
  const resource = temporaryResource();
  const { release } = await heldElsewhere(resource);
  const waiting = lock(resource);
  const asked = performance.now();
  while (performance.now() < asked + 50) await new Promise(setImmediate);
  const before = performance.now();
  await release();
  using _ = await waiting;
  const [held] = heldLocks();
  expect(held?.ageMs).toBeLessThan(performance.now() - before + 1);
});

test('releaseAll takes all locks away and tells their holders through the signal', async () => {
  const folder = temporaryFolder();
  const locks = [lockSync(`${folder}/a`), await lock(`${folder}/b`, { mode: 'shared' })];
  const early = locks.map(({ signal }) => signal);
  expect(early.map(({ aborted }) => aborted)).toEqual([false, false]);
  expect(releaseAll()).toBe(2);
  for (const [index, held] of locks.entries()) {
    expect(held.held).toBe(false);
    expect(held.signal).toBe(early[index]);
    expect(held.signal.reason).toMatchObject({ code: 'ERR_LOCK_LOST', resource: held.resource });
    expect(() => held.assertHeld()).toThrow('releaseAll() took the lock');
    expect(() => held.renew()).toThrow('releaseAll() took the lock');
  }
  const actor = await Actor.start();
  const free = await actor.run(({ holdfast }, path) => holdfast.tryLock(path)?.held, `${folder}/a`);
  expect(free).toBe(true);
  expect(releaseAll()).toBe(0);
});

test('a signal that is asked for after the loss has aborted', () => {
  const held = lockSync(temporaryResource());
  releaseAll();
  expect(held.signal.aborted).toBe(true);
  expect(held.signal.reason).toMatchObject({ code: 'ERR_LOCK_LOST' });
});

test('a release does not abort the signal', () => {
  const held = lockSync(temporaryResource());
  const { signal } = held;
  held.release();
  expect(signal.aborted).toBe(false);
  expect(() => held.assertHeld()).toThrow('was released before');
});

test('releaseAll lets those who wait have their turn', async () => {
  const resource = temporaryResource();
  await lock(resource);
  const waiting = lock(resource);
  expect(releaseAll()).toBe(1);
  const held = await waiting;
  expect(held.held).toBe(true);
});

test('releaseAll does not end waits', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await actor.run(({ holdfast, kept }, resource) => {
    kept['lock'] = holdfast.lockSync(resource);
  }, resource);
  const waiting = lock(resource);
  await untilBlocked(`${resource}.flock`, 1);
  expect(releaseAll()).toBe(0);
  await actor.run(({ kept }) => kept['lock'].release());
  expect((await waiting).held).toBe(true);
});

needs('/proc')(
  'locks that are released one by one or all at once leave no descriptor',
  async () => {
    const folder = temporaryFolder();
    const actor = await Actor.start();
    const left = await actor.run(async ({ holdfast }, folder) => {
      const { readdirSync } = process.getBuiltinModule('node:fs');
      const open = () => readdirSync('/proc/self/fd').length;
      const before = open();
      for (let index = 0; index < 100; index += 1) {
        const lock = holdfast.tryLock(`${folder}/${index}`);
        if (index % 2 === 0) lock?.release();
      }
      holdfast.releaseAll();
      for (let round = 0; round < 100; round += 1) holdfast.tryLock(`${folder}/x`)?.release();
      await new Promise(setImmediate);
      return open() - before;
    }, folder);
    expect(left).toBe(0);
  },
);

test('a lock ends with its using block, and with an error in it', async () => {
  const resource = temporaryResource();
  {
    using _ = lockSync(resource);
    expect(tryLock(resource)).toBeNull();
  }
  const failing = async () => {
    await using _ = await lock(resource);
    throw new Error('in the block');
  };
  await expect(failing()).rejects.toThrow('in the block');
  using held = tryLock(resource);
  expect(held?.held).toBe(true);
});

test('releaseAll leaves a lock alone that one of those whom it tells takes meanwhile', () => {
  const folder = temporaryFolder();
  const [first, second] = [lockSync(`${folder}/a`), lockSync(`${folder}/b`)];
  const taken: unknown[] = [];
  first.signal.addEventListener('abort', () => {
    second.release();
    taken.push(tryLock(`${folder}/c`));
  });
  releaseAll();
  expect(taken).toMatchObject([{ held: true }]);
  expect(heldLocks()).toHaveLength(1);
});
