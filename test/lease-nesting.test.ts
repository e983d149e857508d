import { setTimeout as sleep } from 'node:timers/promises';
import { type FileLock, LockExpiredError, lock, tryLock, withLock } from 'holdfast';
import { expect, test } from 'vitest';
import { temporaryResource } from './helpers/folder.js';
import { keepAlive } from './helpers/keep-alive.js';
import { lost } from './helpers/lost.js';
import { slowness } from './helpers/slowness.js';

test('whoever nests in a lock renews the lease of all', async () => {
  const resource = temporaryResource();
  const lease = 600 * slowness;
  await withLock(resource, { lease }, async (outer) => {
    await withLock(resource, { reentrant: true }, async (inner) => {
      for (let round = 0; round < 8; round += 1) {
        await sleep(lease / 6);
        inner.renew();
      }
    });
    outer.assertHeld();
  });
});

test('the outer scope learns of the end of a lease that an inner one began', async () => {
  const resource = temporaryResource();
  const scope = withLock(resource, async (outer) => {
    await withLock(resource, { reentrant: true }, async (inner) => inner.renew(20));
    await lost(outer.signal);
    return new Promise(() => {});
  });
  await expect(keepAlive(scope)).rejects.toBeInstanceOf(LockExpiredError);
  expect(tryLock(resource)?.held).toBe(true);
});

test('a lease that an inner scope asked for does not end the outer one', async () => {
  const resource = temporaryResource();
  await withLock(resource, async (outer) => {
    await withLock(resource, { reentrant: true, lease: 10 }, (inner) => inner.renew());
    await sleep(50);
    outer.assertHeld();
  });
});

test('a nested lock that was released before is not told of the end of the lease', async () => {
  const resource = temporaryResource();
  const released: FileLock[] = [];
  const scope = withLock(resource, { lease: 600_000 }, async (outer) => {
    const inner = await lock(resource, { reentrant: true });
    expect(inner.signal.aborted).toBe(false);
    inner.release();
    released.push(inner);
    outer.renew(20);
    await lost(outer.signal);
  });
  await expect(keepAlive(scope)).rejects.toBeInstanceOf(LockExpiredError);
  expect(released[0]?.signal.aborted).toBe(false);
});
