import { setImmediate as nextTurn } from 'node:timers/promises';
import { type FileLock, heldLocks, lock, openScope, tryLock, withLock } from 'holdfast';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Actor } from './helpers/actor.js';
import { descriptorsOf } from './helpers/descriptors.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';

// The suites of programs that lock stop the clock and all timers. The kernel does not know of that.
beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  expect(heldLocks()).toEqual([]);
});

async function heldElsewhere(resource: string): Promise<Actor> {
  const actor = await Actor.start();
  await actor.run(({ holdfast, kept }, resource) => {
    kept['lock'] = holdfast.lockSync(resource);
  }, resource);
  return actor;
}

test('the timers of a test move the timeout of a wait', async () => {
  const resource = temporaryResource();
  await heldElsewhere(resource);
  const timedOut = expect(lock(resource, { timeout: 60_000 })).rejects.toThrow('timed out');
  vi.advanceTimersByTime(60_000);
  await timedOut;
});

test('a timeout ends lockSync() while the clock stands still', async () => {
  const resource = temporaryResource();
  await heldElsewhere(resource);
  const other = await Actor.start();
  const code = await other.run(({ holdfast }, resource) => {
    performance.now = () => 0;
    try {
      holdfast.lockSync(resource, { timeout: 20 }).release();
      return 'granted';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  }, resource);
  expect(code).toBe('ERR_LOCK_TIMEOUT');
});

test('locks are granted, lost and freed while the timers of a test stand still', async () => {
  const resource = temporaryResource();
  const actor = await heldElsewhere(resource);
  const waiting = withLock(resource, async () => 'granted');
  await actor.run(({ kept }) => kept['lock'].release());
  await expect(waiting).resolves.toBe('granted');
  let own: FileLock | undefined;
  const never = withLock(resource, { lease: 20 }, (held) => {
    // Else a collection may find it leaked before its lease ends.
    own = held;
    return new Promise(() => {});
  });
  await expect(never).rejects.toThrow('ran out before it was renewed');
  expect(own?.held).toBe(false);
  (await openScope(lock(resource))).release();
});

needs('/proc')('a loop of locks behind fake timers leaves no descriptor open', async () => {
  const resource = temporaryResource();
  for (let round = 0; round < 100; round += 1) tryLock(resource)?.release();
  await nextTurn();
  expect(descriptorsOf(null, resource)).toBe(0);
});
