import { readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { lock, tryLock } from 'holdfast';
import { expect } from 'vitest';
import type { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { descriptorsOf } from './helpers/descriptors.js';
import { faultyActor, setFault } from './helpers/faulty-actor.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { atBest } from './helpers/slowness.js';

const { errno } = constants;
const nfs = 0x6969;
const openMs = 300;

/** An actor that believes to be on NFS, where opening a lock file takes long. */
async function slowActor(): Promise<Actor> {
  const actor = await faultyActor();
  await setFault(actor, 'STATFS', nfs);
  await setFault(actor, 'OPEN_MS', openMs);
  return actor;
}

/** For how long the event loop stands still while a lock is taken that takes long to open. */
async function pauseOfOpen(): Promise<number> {
  const resource = temporaryResource();
  const actor = await slowActor();
  const { longest, held } = await actor.run(async ({ holdfast, kept }, resource) => {
    let longest = 0;
    let last = performance.now();
    const heart = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    kept['lock'] = await holdfast.lock(resource);
    clearInterval(heart);
    return { longest: Math.max(longest, performance.now() - last), held: kept['lock'].held };
  }, resource);
  expect(held).toBe(true);
  expect(tryLock(resource)).toBeNull();
  return longest;
}

needs('faults by LD_PRELOAD')('a slow open does not block the event loop', async () => {
  expect(await atBest(openMs / 2, pauseOfOpen)).toBeLessThan(openMs / 2);
});

needs('faults by LD_PRELOAD')('a lock excludes, waits, times out and is handed on', async () => {
  const resource = temporaryResource();
  const actor = await slowActor();
  const held = await lock(resource);
  await expect(
    actor.run(
      ({ holdfast }, resource) => holdfast.lock(resource, { timeout: 400 }).then(() => 'granted'),
      resource,
    ),
  ).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
  const granted = actor.run(async ({ holdfast }, resource) => {
    const order: number[] = [];
    const tasks = [1, 2, 3].map((number) =>
      holdfast.withLock(resource, () => void order.push(number)),
    );
    await Promise.all(tasks);
    return order;
  }, resource);
  held.release();
  await expect(granted).resolves.toEqual([1, 2, 3]);
  using later = tryLock(resource);
  expect(later?.held).toBe(true);
});

needs('faults by LD_PRELOAD').each([true, false])(
  'an exclusive lock with record: %s has a descriptor that may write, also to look at it',
  async (record) => {
    const resource = temporaryResource();
    const actor = await slowActor();
    const states = await actor.run(
      async ({ holdfast }, resource, record) => {
        const held = await holdfast.lock(resource, { record });
        held.release();
        const again = holdfast.tryLock(resource, { record });
        const during = await holdfast.inspect(resource);
        again?.release();
        return [during.state, (await holdfast.inspect(resource)).state];
      },
      resource,
      record,
    );
    expect(states).toEqual(['exclusive', 'free']);
  },
);

needs('faults by LD_PRELOAD')('a scope that waits for itself is told so, or nests', async () => {
  const resource = temporaryResource();
  const actor = await slowActor();
  const outcome = await actor.run(async ({ holdfast }, resource) => {
    const nest = (reentrant: boolean) =>
      holdfast.withLock(resource, () =>
        holdfast.withLock(resource, { reentrant }, () => 'nested').catch(({ code }) => code),
      );
    return [await nest(false), await nest(true)];
  }, resource);
  expect(outcome).toEqual(['EDEADLK', 'nested']);
});

needs('faults by LD_PRELOAD')('timeout 0 makes one attempt, however long it takes', async () => {
  const resource = temporaryResource();
  const actor = await slowActor();
  const attempt = () =>
    actor.run(async ({ holdfast }, resource) => {
      const lock = await holdfast.lock(resource, { timeout: 0 });
      lock.release();
      return true;
    }, resource);
  await expect(attempt()).resolves.toBe(true);
  using held = tryLock(resource);
  expect(held?.held).toBe(true);
  await expect(attempt()).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
});

needs('faults by LD_PRELOAD')('timeout 0 does not wait for a sibling that nests', async () => {
  const resource = temporaryResource();
  const actor = await slowActor();
  const outcome = await actor.run(
    ({ holdfast }, resource) =>
      holdfast.withLock(resource, async () => {
        const nest = (timeout: number, fn: () => unknown) =>
          holdfast.withLock(resource, { reentrant: true, timeout }, fn);
        let end = () => {};
        const ended = new Promise<void>((resolve) => {
          end = resolve;
        });
        const first = nest(1_000, () => ended);
        const second = nest(0, () => 'nested').catch(({ code }) => code);
        const outcome = await second;
        end();
        await first;
        return outcome;
      }),
    resource,
  );
  expect(outcome).toBe('ERR_LOCK_TIMEOUT');
});

needs('faults by LD_PRELOAD')(
  'one attempt does not go on with a wait that was given up',
  async () => {
    const resource = temporaryResource();
    const actor = await slowActor();
    using held = tryLock(resource);
    expect(held?.held).toBe(true);
    const given = actor.run(({ holdfast, kept }, resource) => {
      kept['controller'] = new AbortController();
      const { signal } = kept['controller'];
      return holdfast.lock(resource, { signal }).catch(() => 'given up');
    }, resource);
    await untilBlocked(`${resource}.flock`, 1);
    const code = await actor.run(({ holdfast, kept }, resource) => {
      kept['controller'].abort();
      return holdfast.lock(resource, { timeout: 0 }).catch(({ code }) => code);
    }, resource);
    expect(code).toBe('ERR_LOCK_TIMEOUT');
    await expect(given).resolves.toBe('given up');
  },
);

needs('faults by LD_PRELOAD')(
  'an abort while it opens rejects at once, and leaves nothing',
  async () => {
    const resource = temporaryResource();
    const actor = await slowActor();
    const { waited, message } = await actor.run(async ({ holdfast }, resource) => {
      const controller = new AbortController();
      const asked = performance.now();
      const waiting = holdfast.lock(resource, { signal: controller.signal });
      controller.abort(new Error('enough'));
      const message = await waiting.catch(({ message }) => message);
      return { waited: performance.now() - asked, message };
    }, resource);
    expect(message).toBe('enough');
    expect(waited).toBeLessThan(openMs / 2);
    const threads = () => readdirSync(`/proc/${actor.pid}/task`).length;
    const most = threads();
    while (threads() === most) await new Promise(setImmediate);
    using held = tryLock(resource);
    expect(held?.held).toBe(true);
  },
);

needs('faults by LD_PRELOAD').each(['EACCES', 'ENOENT'] as const)(
  'a failure to open is %s of open',
  async (code) => {
    const resource = temporaryResource();
    const actor = await slowActor();
    const missing = code === 'ENOENT';
    if (!missing) await setFault(actor, 'OPEN', errno.EACCES);
    const path = missing ? `${resource}/missing/resource` : resource;
    const attempt = actor.run(
      ({ holdfast }, path) => holdfast.lock(path).then(() => 'granted'),
      path,
    );
    await expect(attempt).rejects.toMatchObject({ code, syscall: 'open', path: `${path}.flock` });
  },
);

needs('faults by LD_PRELOAD')('a wait behind one attempt that is given up goes on', async () => {
  const resource = temporaryResource();
  const actor = await slowActor();
  const held = tryLock(resource);
  const granted = actor.run(async ({ holdfast, emit }, resource) => {
    const controller = new AbortController();
    const attempt = holdfast.lock(resource, { timeout: 0, signal: controller.signal });
    const waiting = holdfast.lock(resource);
    controller.abort();
    await attempt.catch(() => emit('given up'));
    return (await waiting).held;
  }, resource);
  await untilBlocked(`${resource}.flock`, 1);
  held?.release();
  await expect(granted).resolves.toBe(true);
});

needs('faults by LD_PRELOAD', '/proc')(
  'a lock that cannot be handed on in another mode leaves no descriptor',
  async () => {
    const resource = temporaryResource();
    const actor = await slowActor();
    const code = await actor.run(
      async ({ holdfast }, resource, busy) => {
        const held = await holdfast.lock(resource);
        const waiting = holdfast.lock(resource, { mode: 'shared' });
        // As if somebody else had taken it in between.
        process.env['FAULT_LOCK'] = String(busy);
        held.release();
        return waiting.catch(({ code }) => code);
      },
      resource,
      errno.EAGAIN,
    );
    expect(code).toBe('EAGAIN');
    await expect(actor.run(descriptorsOf, resource)).resolves.toBe(0);
  },
);

needs('faults by LD_PRELOAD')(
  'lockSync knows what its own thread holds and waits for',
  async () => {
    const resource = temporaryResource();
    const actor = await slowActor();
    const outcome = await actor.run(async ({ holdfast }, resource) => {
      const held = await holdfast.lock(resource);
      const waiting = holdfast.lock(resource);
      let code: unknown;
      try {
        holdfast.lockSync(resource);
      } catch (error) {
        ({ code } = error as NodeJS.ErrnoException);
      }
      held.release();
      return [code, (await waiting).held];
    }, resource);
    expect(outcome).toEqual(['EDEADLK', true]);
  },
);
