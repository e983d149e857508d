import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { lock, lockSync, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { blockedOn, untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { atBest, patience, slowness } from './helpers/slowness.js';

const entry = new URL('../dist/index.js', import.meta.url).href;

/** An actor that holds the lock and lets go of it so many ms from now. */
async function holderFor(resource: string, milliseconds: number): Promise<Actor> {
  const actor = await Actor.start();
  await actor.run(
    ({ holdfast, kept }, resource, milliseconds) => {
      kept['lock'] = holdfast.lockSync(resource, { label: 'busy' });
      if (milliseconds > 0) setTimeout(() => kept['lock'].release(), milliseconds);
    },
    resource,
    milliseconds,
  );
  return actor;
}

/** Has the actor release while this thread is blocked, and not before somebody here waits, however slow it is. */
function releaseSoon(actor: Actor): void {
  void actor.run(({ kept }) => {
    setTimeout(() => kept['lock'].release(), 50);
  });
}

test('lockSync takes a free lock at once', () => {
  using held = lockSync(temporaryResource(), { timeout: 0 });
  expect(held).toMatchObject({ held: true, mode: 'exclusive', label: null });
});

test('lockSync blocks until another process lets go', async () => {
  const resource = temporaryResource();
  await holderFor(resource, 50);
  using held = lockSync(resource);
  expect(held.held).toBe(true);
});

test('lockSync has its own token, whoever of its thread shares the lock', async () => {
  const resource = temporaryResource();
  await holderFor(resource, 50);
  const other = lock(resource, { mode: 'shared', record: false });
  using held = lockSync(resource, { mode: 'shared' });
  expect(held.token).toBe(1n);
  (await other).release();
});

needs('/proc')(
  'who waits in the same thread waits for the release of lockSync, not in the kernel',
  async () => {
    const resource = temporaryResource();
    const actor = await holderFor(resource, 0);
    const waiting = lock(resource);
    releaseSoon(actor);
    const held = lockSync(resource);
    await new Promise(setImmediate);
    expect(blockedOn(held.lockPath)).toBe(0);
    held.release();
    (await waiting).release();
  },
);

test('lockSync wakes within its timeout, not at its end', async () => {
  const resource = temporaryResource();
  await holderFor(resource, 50);
  const asked = performance.now();
  using held = lockSync(resource, { timeout: patience });
  expect(held.held).toBe(true);
  expect(performance.now() - asked).toBeLessThan(patience / 3);
});

test('lockSync says after its timeout who holds the lock', async () => {
  const resource = temporaryResource();
  const actor = await holderFor(resource, 0);
  const asked = performance.now();
  expect(() => lockSync(resource, { timeout: 60 })).toThrow(
    expect.objectContaining({
      code: 'ERR_LOCK_TIMEOUT',
      message: expect.stringMatching(new RegExp(`pid ${actor.pid} on host .*"busy"`)),
    }),
  );
  expect(performance.now() - asked).toBeGreaterThan(58);
});

test('lockSync with timeout 0 makes one attempt', async () => {
  const resource = temporaryResource();
  await holderFor(resource, 0);
  expect(() => lockSync(resource, { timeout: 0 })).toThrow('timed out after 0 ms');
});

test('lockSync of what this thread holds is a deadlock, said at once', () => {
  const resource = temporaryResource();
  using held = lockSync(resource);
  expect(held.held).toBe(true);
  expect(() => lockSync(resource)).toThrow(expect.objectContaining({ code: 'EDEADLK' }));
  expect(() => lockSync(resource, { mode: 'shared', timeout: 60_000 })).toThrow(
    expect.objectContaining({ code: 'EDEADLK' }),
  );
});

test('lockSync of what this thread holds is a deadlock also where the lease has become endless', () => {
  const resource = temporaryResource();
  using held = tryLock(resource, { lease: 60_000 });
  held?.renew(Number.POSITIVE_INFINITY);
  expect(() => lockSync(resource, { timeout: 50 })).toThrow(
    expect.objectContaining({ code: 'EDEADLK' }),
  );
});

test('lockSync shares with a reader of its own thread', () => {
  const resource = temporaryResource();
  using first = lockSync(resource, { mode: 'shared' });
  using second = lockSync(resource, { mode: 'shared' });
  expect([first.held, second.held]).toEqual([true, true]);
});

test('lockSync waits for a lock of this thread that has a lease, until that ends', () => {
  const resource = temporaryResource();
  const leased = lockSync(resource, { lease: 30 });
  using held = lockSync(resource, { timeout: patience });
  expect([leased.held, held.held]).toEqual([false, true]);
});

needs('/proc')('lockSync and lock of one thread can wait for the same lock together', async () => {
  const resource = temporaryResource();
  const actor = await holderFor(resource, 0);
  const waiting = lock(resource);
  await untilBlocked(`${resource}.flock`, 1);
  const refused = () => lockSync(resource, { timeout: 20 });
  expect(refused).toThrow('timed out');
  await actor.run(({ kept }) => kept['lock'].release());
  const held = await waiting;
  expect(held.held).toBe(true);
  expect(tryLock(resource)).toBeNull();
  held.release();
  lockSync(resource, { timeout: patience }).release();
});

needs('/proc')('lockSync gets a lock for which its own thread waits already', async () => {
  const resource = temporaryResource();
  const actor = await holderFor(resource, 0);
  const waiting = lock(resource);
  await untilBlocked(`${resource}.flock`, 1);
  releaseSoon(actor);
  // A grant to the other would reach nobody while this one blocks the event loop.
  const held = lockSync(resource, { timeout: patience });
  expect(held.held).toBe(true);
  held.release();
  using next = await waiting;
  expect(next.held).toBe(true);
});

needs('/proc')('lockSync shares with its own thread while a writer elsewhere waits', async () => {
  const resource = temporaryResource();
  const first = await lock(resource, { mode: 'shared' });
  const actor = await Actor.start();
  const written = actor.run(
    async ({ holdfast }, resource) => (await holdfast.lock(resource)).held,
    resource,
  );
  await untilBlocked(`${resource}.flock`, 1);
  // Behind the writer, it would wait for a release by the thread that it blocks.
  const second = lockSync(resource, { mode: 'shared', timeout: patience });
  first.release();
  expect([second.held, tryLock(resource)]).toEqual([true, null]);
  second.release();
  await expect(written).resolves.toBe(true);
});

/** How long the end of a worker takes that blocks in lockSync, and of the other lock that it holds. */
async function endOfBlocked(resource: string): Promise<number> {
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { lockSync, tryLock } = await import(${JSON.stringify(entry)});
    globalThis.other = tryLock(workerData + '-other');
    parentPort.postMessage('blocks now');
    lockSync(workerData);`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const worker = new Worker(url, { workerData: resource });
  await once(worker, 'message');
  await untilBlocked(`${resource}.flock`, 1);
  const since = performance.now();
  await worker.terminate();
  (await lock(`${resource}-other`)).release();
  return performance.now() - since;
}

test('a worker that blocks in lockSync can be terminated, and takes no lock', async () => {
  const limit = 50 * slowness;
  const resources: string[] = [];
  const measure = async () => {
    const resource = temporaryResource();
    resources.push(resource);
    const held = lockSync(resource);
    const taken = await endOfBlocked(resource);
    held.release();
    return taken;
  };
  expect(await atBest(limit, measure)).toBeLessThan(limit);
  for (const resource of resources) {
    using next = lockSync(resource, { timeout: patience });
    expect(next.held).toBe(true);
  }
});
