import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type FileLock,
  inspect,
  LockExpiredError,
  lock,
  lockSync,
  tryLock,
  withLock,
} from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { descriptorsOf } from './helpers/descriptors.js';
import { temporaryResource } from './helpers/folder.js';
import { keepAlive } from './helpers/keep-alive.js';
import { lost } from './helpers/lost.js';
import { needs } from './helpers/needs.js';
import { atBest, slowness } from './helpers/slowness.js';

/** How long a holder keeps the lock under a lease of 2 s after which it does nothing for 5 s. */
async function holdOfBlocked(): Promise<number> {
  const resource = temporaryResource();
  const holder = await Actor.start();
  const since = await holder.run(async ({ holdfast, kept }, path) => {
    const asked = Date.now();
    kept.lock = await holdfast.lock(path, { lease: 2_000 });
    // After the answer has left, nothing runs in this process for 5 s.
    setImmediate(() => {
      const end = Date.now() + 5_000;
      while (Date.now() < end);
    });
    return asked;
  }, resource);
  await using _ = await lock(resource);
  const waited = Date.now() - since;
  await holder.kill();
  return waited;
}

test('a holder whose event loop is blocked loses the lock on time', async () => {
  const limit = 2_100 * slowness;
  const waited = await atBest(limit, holdOfBlocked);
  expect(waited).toBeGreaterThanOrEqual(1_990);
  expect(waited).toBeLessThan(limit);
});

test('a waiter whose event loop is blocked loses on time what it is granted, and goes on waiting', async () => {
  const resource = temporaryResource();
  const held = lockSync(resource);
  const waiter = await Actor.start();
  const granted = waiter.next('granted');
  const gate = `${resource}.gate`;
  await waiter.run(
    ({ holdfast, emit }, path, gate) => {
      const { existsSync } = process.getBuiltinModule('node:fs');
      holdfast.lock(path, { lease: 300 }).then((lock) => emit('granted', lock.held));
      setImmediate(() => {
        while (!existsSync(gate));
      });
    },
    resource,
    gate,
  );
  await untilBlocked(`${resource}.flock`, 1);
  held.release();
  while ((await inspect(resource)).state !== 'exclusive');
  // Without an end: nothing opens the gate before.
  const next = await lock(resource);
  writeFileSync(gate, '');
  await untilBlocked(`${resource}.flock`, 1);
  next.release();
  expect(await granted).toBe(true);
});

needs('POSIX signals')(
  'a stopped process keeps its lock past its lease, until it goes on',
  async () => {
    const resource = temporaryResource();
    const lease = 300 * slowness;
    const holder = await Actor.start();
    await holder.run(
      async ({ holdfast, kept }, path, lease) => {
        kept['lock'] = await holdfast.lock(path, { lease });
      },
      resource,
      lease,
    );
    holder.signal('SIGSTOP');
    await expect(lock(resource, { timeout: 2 * lease })).rejects.toMatchObject({
      code: 'ERR_LOCK_TIMEOUT',
    });
    holder.signal('SIGCONT');
    await using held = await lock(resource);
    expect(held.previousHolder?.pid).toBe(holder.pid);
    await expect(holder.run(({ kept }) => kept['lock'].held)).resolves.toBe(false);
  },
);

test('the holder learns that its lease ran out', async () => {
  const resource = temporaryResource();
  const held = await lock(resource, { lease: 50 });
  const reason = await keepAlive(lost(held.signal));
  expect(reason).toBeInstanceOf(LockExpiredError);
  expect(reason).toMatchObject({ code: 'ERR_LOCK_EXPIRED', resource });
  expect(held.held).toBe(false);
  expect(() => held.assertHeld()).toThrow(LockExpiredError);
  expect(() => held.renew()).toThrow(LockExpiredError);
});

needs('/proc')('a lost lease leaves no descriptor open', async () => {
  const resource = temporaryResource();
  const held = await lock(resource, { lease: 20 });
  await keepAlive(lost(held.signal));
  expect(descriptorsOf(null, resource)).toBe(0);
});

test('a holder that blocked its event loop past its lease is told when it asks', () => {
  const ask = {
    assertHeld: (held: FileLock) => held.assertHeld(),
    renew: (held: FileLock) => held.renew(),
  };
  for (const question of Object.values(ask)) {
    const held = lockSync(temporaryResource(), { lease: 10 });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    // No message of the watchdog can have arrived.
    expect(() => question(held)).toThrow(LockExpiredError);
    expect(held.signal.reason).toBeInstanceOf(LockExpiredError);
  }
});

test('a signal that is first asked for after the loss has aborted already', async () => {
  const held = await lock(temporaryResource(), { lease: 20 });
  await keepAlive(
    (async () => {
      while (held.held) await sleep(2);
    })(),
  );
  expect(() => held.assertHeld()).toThrow(LockExpiredError);
  expect(held.signal.aborted).toBe(true);
});

test('withLock rejects when the lease runs out, even if the function never settles', async () => {
  const resource = temporaryResource();
  let own: FileLock | undefined;
  const never = withLock(resource, { lease: 50 }, (held) => {
    // Else a collection may find it leaked before its lease ends.
    own = held;
    return new Promise(() => {});
  });
  await expect(keepAlive(never)).rejects.toBeInstanceOf(LockExpiredError);
  expect(own?.held).toBe(false);
  expect(tryLock(resource)?.held).toBe(true);
});

test('withLock rejects when the lease ran out during a function that blocked the event loop', async () => {
  const resource = temporaryResource();
  const blocking = withLock(resource, { lease: 20 }, () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    return 'done';
  });
  await expect(blocking).rejects.toBeInstanceOf(LockExpiredError);
});

test('release() does nothing once the lease ran out, and frees nobody else', async () => {
  const resource = temporaryResource();
  const held = await lock(resource, { lease: 30 });
  await keepAlive(lost(held.signal));
  const next = tryLock(resource);
  held.release();
  expect(next?.held).toBe(true);
  expect(tryLock(resource)).toBeNull();
  next?.release();
});

test('renew() keeps the lock past its first lease', async () => {
  const resource = temporaryResource();
  const held = await lock(resource, { lease: 600 * slowness });
  for (let round = 0; round < 8; round += 1) {
    await sleep(100 * slowness);
    held.renew();
  }
  expect(held.held).toBe(true);
  expect(held.signal.aborted).toBe(false);
  held.release();
});

test('renew() can shorten the lease', async () => {
  const held = await lock(temporaryResource(), { lease: 60_000 });
  held.renew(20);
  await expect(keepAlive(lost(held.signal))).resolves.toBeInstanceOf(LockExpiredError);
});

test('renew() without a lease starts the one that the lock was last given', async () => {
  const held = await lock(temporaryResource(), { lease: 60_000 });
  held.renew(1_000);
  held.renew();
  await expect(keepAlive(lost(held.signal))).resolves.toBeInstanceOf(LockExpiredError);
});

test('renew() gives a lease to a lock that had none', async () => {
  const held = await lock(temporaryResource());
  held.renew(20);
  await expect(keepAlive(lost(held.signal))).resolves.toBeInstanceOf(LockExpiredError);
});

test.each([
  ['a lease', 60_000],
  ['none', undefined],
])('renew() refuses what is no lease on a lock that has %s', (_, lease) => {
  using held = tryLock(temporaryResource(), { lease });
  for (const wrong of [0, -1, Number.NaN, '20', null]) {
    expect(() => held?.renew(wrong as number)).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }),
    );
  }
});

test('a released lock with a lease is left alone when another lock uses the same handle', async () => {
  const resource = temporaryResource();
  for (let round = 0; round < 20; round += 1) tryLock(resource, { lease: 20 })?.release();
  using held = tryLock(resource);
  await sleep(100);
  expect(held?.held).toBe(true);
});

test('whoever is handed a lock is not bound by the lease of the holder before', async () => {
  const resource = temporaryResource();
  const before = tryLock(resource, { lease: 300 });
  const waiting = lock(resource);
  before?.release();
  using held = await waiting;
  using later = tryLock(temporaryResource(), { lease: 310 });
  await keepAlive(lost((later as FileLock).signal));
  expect([before?.held, before?.signal.aborted, held.held]).toEqual([false, false, true]);
});

test('a waiter of the same process gets the lock when the lease of its holder runs out', async () => {
  const resource = temporaryResource();
  const first = await lock(resource, { lease: 50 });
  const second = await lock(resource);
  expect(first.held).toBe(false);
  expect(second.held).toBe(true);
  expect(second.previousHolder).toMatchObject({ pid: process.pid, lease: 50, state: 'held' });
  expect(second.token).toBe((first.token ?? 0n) + 1n);
  second.release();
});

test('a late holder and the next one never have the same token', async () => {
  const resource = temporaryResource();
  const late = await lock(resource, { lease: 20 });
  const actor = await Actor.start();
  const token = await actor.run(
    async ({ holdfast }, path) => String((await holdfast.lock(path)).token),
    resource,
  );
  expect(BigInt(token)).toBeGreaterThan(late.token ?? 0n);
});

test('renew(Infinity) ends the lease, not the lock', async () => {
  const held = await lock(temporaryResource(), { lease: 300 });
  held.renew(Number.POSITIVE_INFINITY);
  await sleep(400);
  expect(held.held).toBe(true);
  held.release();
});
