import { channel, tracingChannel } from 'node:diagnostics_channel';
import {
  type FileLock,
  lock,
  lockSync,
  reclaimLeaked,
  releaseAll,
  tryLock,
  withLock,
} from 'holdfast';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryResource } from './helpers/folder.js';
import { patience } from './helpers/slowness.js';

type Seen = [name: string, message: { resource: string; error?: unknown }];

const names = [
  'tracing:holdfast:wait:start',
  'tracing:holdfast:wait:asyncEnd',
  'tracing:holdfast:wait:error',
  'tracing:holdfast:hold:start',
  'tracing:holdfast:hold:asyncEnd',
  'holdfast:expire',
  'holdfast:leak',
];
let seen: Seen[] = [];
const subscribers = names.map((name) => {
  const subscriber = (message: unknown) => seen.push([name, message as Seen[1]]);
  return { name, subscriber };
});

beforeEach(() => {
  seen = [];
  for (const { name, subscriber } of subscribers) channel(name).subscribe(subscriber);
});
afterEach(() => {
  for (const { name, subscriber } of subscribers) channel(name).unsubscribe(subscriber);
});

const seenNames = () => seen.map(([name]) => name.replace(/^tracing:/, ''));

test('a hold is traced from grant to release', () => {
  const resource = temporaryResource();
  tryLock(resource, { label: 'traced' })?.release();
  expect(seenNames()).toEqual(['holdfast:hold:start', 'holdfast:hold:asyncEnd']);
  expect(seen[0]?.[1]).toMatchObject({ resource, mode: 'exclusive', label: 'traced' });
});

test('a subscriber that releases what is being released does it no harm', () => {
  const held = tryLock(temporaryResource());
  const again = () => held?.release();
  channel('tracing:holdfast:hold:asyncEnd').subscribe(again);
  held?.release();
  channel('tracing:holdfast:hold:asyncEnd').unsubscribe(again);
  // Two locks on one handle would end together.
  using first = tryLock(temporaryResource());
  using second = tryLock(temporaryResource());
  first?.release();
  expect(second?.held).toBe(true);
});

test.each(['hold:start', 'hold:asyncEnd'])(
  'a subscriber to %s that ends the wait in the moment of its grant leaves no lock behind',
  async (name) => {
    const resource = temporaryResource();
    const first = tryLock(resource);
    const controller = new AbortController();
    const waiting = lock(resource, { signal: controller.signal });
    const abort = () => controller.abort();
    channel(`tracing:holdfast:${name}`).subscribe(abort);
    first?.release();
    channel(`tracing:holdfast:${name}`).unsubscribe(abort);
    await expect(waiting).rejects.toThrow('abort');
    using next = tryLock(resource);
    expect(next?.held).toBe(true);
  },
);

test('a subscriber that would block for a lock on its way to the next one is told so', async () => {
  const resource = temporaryResource();
  const first = tryLock(resource);
  const waiting = lock(resource);
  let error: unknown;
  const block = () => {
    try {
      lockSync(resource, { timeout: patience });
    } catch (thrown) {
      error = thrown;
    }
  };
  channel('tracing:holdfast:hold:asyncEnd').subscribe(block);
  first?.release();
  channel('tracing:holdfast:hold:asyncEnd').unsubscribe(block);
  expect(error).toMatchObject({ code: 'EDEADLK' });
  (await waiting).release();
});

test('a lock that was handed over has its own token, whatever a subscriber locks meanwhile', async () => {
  const [resource, other] = [temporaryResource(), temporaryResource()];
  const first = tryLock(resource);
  const waiting = lock(resource);
  const takeOther = ({ resource }: { resource: string }) => {
    if (resource !== other) tryLock(other, { minToken: 41n })?.release();
  };
  const subscriber = (message: unknown) => takeOther(message as { resource: string });
  channel('tracing:holdfast:hold:asyncEnd').subscribe(subscriber);
  first?.release();
  channel('tracing:holdfast:hold:asyncEnd').unsubscribe(subscriber);
  using next = await waiting;
  expect(next.token).toBe(2n);
});

const onStart = (act: () => void, wait: () => Promise<FileLock>) => {
  channel('tracing:holdfast:wait:start').subscribe(act);
  const waiting = wait();
  channel('tracing:holdfast:wait:start').unsubscribe(act);
  return waiting;
};

test('a subscriber to wait:start may end the wait', async () => {
  const resource = temporaryResource();
  using _ = tryLock(resource);
  const controller = new AbortController();
  const { signal } = controller;
  const waiting = onStart(
    () => controller.abort(),
    () => lock(resource, { signal }),
  );
  await expect(waiting).rejects.toThrow('abort');
  const messages = seen.filter(([name]) => name.includes(':wait:')).map(([, message]) => message);
  expect(messages).toHaveLength(3);
  expect(new Set(messages).size).toBe(1);
});

test('a subscriber to wait:start may end the wait of one who wants to nest', async () => {
  const resource = temporaryResource();
  const controller = new AbortController();
  const { signal } = controller;
  await withLock(resource, async () => {
    using _ = await lock(resource, { reentrant: true });
    const waiting = onStart(
      () => controller.abort(),
      () => lock(resource, { reentrant: true, signal }),
    );
    await expect(waiting).rejects.toThrow('abort');
  });
});

test.each([false, true])(
  'a subscriber to wait:start may release what is waited for (nested: %s)',
  async (reentrant) => {
    const resource = temporaryResource();
    const inScope = async () => {
      const first = await lock(resource, { reentrant });
      using second = await onStart(
        () => first.release(),
        () => lock(resource, { reentrant }),
      );
      expect(second.held).toBe(true);
    };
    await (reentrant ? withLock(resource, inScope) : inScope());
  },
);

test('a subscriber that ends a lock in the moment of its grant and takes another one does not make others wait for that', async () => {
  const [resource, other] = [temporaryResource(), temporaryResource()];
  const first = tryLock(resource);
  const [second, third] = [lock(resource), lock(resource)];
  const taken: (FileLock | null)[] = [];
  const takeOther = () => {
    if (taken.length > 0) return;
    releaseAll();
    taken.push(tryLock(other));
  };
  channel('tracing:holdfast:wait:asyncEnd').subscribe(takeOther);
  first?.release();
  channel('tracing:holdfast:wait:asyncEnd').unsubscribe(takeOther);
  expect((await second).held).toBe(false);
  using last = await third;
  expect(last.held).toBe(true);
  expect(taken[0]?.held).toBe(true);
  taken[0]?.release();
});

test('a wait is traced from its start to its end', async () => {
  const resource = temporaryResource();
  const first = tryLock(resource);
  const waiting = lock(resource);
  first?.release();
  (await waiting).release();
  expect(seenNames()).toEqual([
    'holdfast:hold:start',
    'holdfast:wait:start',
    'holdfast:hold:asyncEnd',
    'holdfast:hold:start',
    'holdfast:wait:asyncEnd',
    'holdfast:hold:asyncEnd',
  ]);
});

test('a wait that fails is traced with its error and the holder', async () => {
  const resource = temporaryResource();
  using _ = tryLock(resource, { label: 'busy' });
  await expect(lock(resource, { timeout: 10 })).rejects.toThrow();
  const error = seen.find(([name]) => name.endsWith('wait:error'))?.[1].error;
  expect(error).toMatchObject({ code: 'ERR_LOCK_TIMEOUT', holder: { label: 'busy' } });
});

test('all messages of one wait are one object, which has the error once it failed', async () => {
  const resource = temporaryResource();
  using _ = tryLock(resource);
  await expect(lock(resource, { timeout: 10 })).rejects.toThrow();
  const waits = seen.filter(([name]) => name.includes(':wait:'));
  expect(waits).toHaveLength(3);
  for (const [, message] of waits) {
    expect(message).toBe(waits[0]?.[1]);
    expect(message.error).toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
  }
});

test('whoever subscribes while somebody waits is told of the end', async () => {
  for (const { name, subscriber } of subscribers) channel(name).unsubscribe(subscriber);
  const resource = temporaryResource();
  using _ = tryLock(resource);
  const waiting = lock(resource, { timeout: 10 });
  for (const { name, subscriber } of subscribers) channel(name).subscribe(subscriber);
  await expect(waiting).rejects.toThrow();
  expect(seenNames()).toEqual(['holdfast:wait:error', 'holdfast:wait:asyncEnd']);
  expect(seen[0]?.[1]).toMatchObject({ resource, error: { code: 'ERR_LOCK_TIMEOUT' } });
});

test.each(['start', 'error', 'asyncEnd'])(
  'a subscriber to wait:%s alone has a wait that failed, with its error',
  async (event) => {
    const only = `tracing:holdfast:wait:${event}`;
    for (const { name, subscriber } of subscribers) {
      if (name !== only) channel(name).unsubscribe(subscriber);
    }
    const resource = temporaryResource();
    using _ = tryLock(resource);
    await expect(lock(resource, { timeout: 10 })).rejects.toThrow();
    expect(seen).toMatchObject([[only, { resource, error: { code: 'ERR_LOCK_TIMEOUT' } }]]);
  },
);

test('the end of a lease is traced', async () => {
  const resource = temporaryResource();
  const leased = tryLock(resource, { lease: 10 });
  await using _ = await lock(resource);
  // On a busy machine the lease is over before the lock is asked for, and the message still on its way.
  while (!seenNames().includes('holdfast:expire')) await new Promise(setImmediate);
  expect(leased?.held).toBe(false);
});

// Where the event loop was blocked, the holder asks before the watchdog's message arrives.
test.each<[string, (held: FileLock) => void]>([
  ['release()', (held) => held.release()],
  ['assertHeld()', (held) => expect(() => held.assertHeld()).toThrow('ran out')],
  ['renew()', (held) => expect(() => held.renew()).toThrow('ran out')],
])('the end of a lease that %s finds out is traced, once', async (_, findOut) => {
  const held = tryLock(temporaryResource(), { lease: 1 }) as FileLock;
  while (held.held);
  findOut(held);
  await new Promise(setImmediate);
  expect(seenNames()).toEqual(['holdfast:hold:start', 'holdfast:expire', 'holdfast:hold:asyncEnd']);
});

test('a leak is traced', async () => {
  const resource = temporaryResource();
  tryLock(resource);
  await reclaimLeaked();
  while (!seenNames().includes('holdfast:leak')) await reclaimLeaked();
  expect(seen.find(([name]) => name === 'holdfast:leak')?.[1]).toMatchObject({ resource });
});

// Whoever counts what is held, or keeps a span open for it, would never see the end of this one.
test('a hold that was leaked is traced to its end', async () => {
  const resource = temporaryResource();
  tryLock(resource);
  while (!seenNames().includes('holdfast:leak')) await reclaimLeaked();
  const own = seen.filter(([, message]) => message.resource === resource);
  expect(own.map(([name]) => name.replace(/^tracing:/, ''))).toEqual([
    'holdfast:hold:start',
    'holdfast:leak',
    'holdfast:hold:asyncEnd',
  ]);
  expect(own[2]?.[1]).toBe(own[0]?.[1]);
});

test('the channels are those that node:diagnostics_channel makes of holdfast:wait and holdfast:hold', () => {
  expect(tracingChannel('holdfast:wait').start.name).toBe(names[0]);
  expect(tracingChannel('holdfast:hold').asyncEnd.name).toBe(names[4]);
});
