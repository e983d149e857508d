import {
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { inspect, lock, lockSync, tryLock } from 'holdfast';
import { afterEach, expect } from 'vitest';
import { descriptorsOf } from './helpers/descriptors.js';
import { linkedPathTo, temporaryResource } from './helpers/folder.js';
import { heldElsewhere } from './helpers/held-elsewhere.js';
import { needs } from './helpers/needs.js';
import { patience } from './helpers/slowness.js';

// What is left open is closed only when the garbage collector happens to come, and that knows nothing of
// how few descriptors a process may have.
const counts = needs('/proc');
const openOf = (resource: string) => descriptorsOf(null, resource);

let resource = '';

/** A holder in another process. */
function holder() {
  resource = temporaryResource();
  return heldElsewhere(resource);
}

afterEach(async () => {
  // One that was given up in the kernel goes with the lock that it waited for.
  await expect.poll(() => openOf(resource), { timeout: patience }).toBe(0);
});

counts('an attempt that failed leaves nothing open', async () => {
  const { release } = await holder();
  expect(tryLock(resource)).toBeNull();
  await expect(lock(resource, { timeout: 0 })).rejects.toThrow('timed out');
  expect(() => lockSync(resource, { timeout: 0 })).toThrow('timed out');
  expect(openOf(resource)).toBe(0);
  await release();
});

counts('one who waits for a holder of this thread has nothing open', async () => {
  resource = temporaryResource();
  const held = tryLock(resource);
  const waiting = lock(resource);
  expect(openOf(resource)).toBe(1);
  held?.release();
  (await waiting).release();
});

needs('/proc', 'symbolic links')(
  'of those who wait for others only the first has something open, whatever paths they came by',
  async () => {
    const { release } = await holder();
    const first = lock(resource);
    const second = lock(linkedPathTo(resource));
    expect(openOf(resource)).toBe(1);
    await release();
    (await first).release();
    (await second).release();
  },
);

counts('one that goes on with a wait that was given up opens nothing for it', async () => {
  const { release } = await holder();
  const givenUp = { timeout: 1 };
  await expect(lock(resource, givenUp)).rejects.toThrow('timed out');
  await expect(lock(resource, givenUp)).rejects.toThrow('timed out');
  expect(openOf(resource)).toBe(1);
  expect(() => lockSync(resource, givenUp)).toThrow('timed out');
  expect(openOf(resource)).toBe(1);
  const waiting = lock(resource);
  expect(openOf(resource)).toBe(1);
  await release();
  (await waiting).release();
});

counts('one that looked past all who wait before it gave up has its wait open only', async () => {
  const { release } = await holder();
  await expect(lock(resource, { timeout: 1_000 })).rejects.toThrow('timed out');
  expect(openOf(resource)).toBe(1);
  await release();
});

counts('a look at a lock leaves nothing open, also where the file is none', async () => {
  resource = temporaryResource();
  writeFileSync(`${resource}.flock`, '');
  await inspect(resource);
  const lockPath = `${resource}-folder`;
  mkdirSync(lockPath);
  await expect(inspect(resource, { lockPath })).rejects.toThrow(
    expect.objectContaining({ code: 'ERR_LOCK_NOT_REGULAR' }),
  );
  expect(openOf(resource)).toBe(0);
});

/** Whether a descriptor is open for it through which reading leaves no trace (fcntl(2), O_NOATIME). */
function isReadWithoutTrace(lockPath: string): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== lockPath) return false;
      const flags = /^flags:\s+([0-7]+)$/m.exec(
        readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'),
      )?.[1];
      return (Number.parseInt(flags ?? '', 8) & constants.O_NOATIME) !== 0;
    } catch {
      // The one that read the folder is closed by now.
      return false;
    }
  });
}

counts('a lock file that is locked in a loop does not have the time of each read noted', () => {
  resource = temporaryResource();
  const end = Date.now() + patience;
  // It is no loop while the process has no core.
  do {
    for (let count = 0; count < 100; count += 1) tryLock(resource)?.release();
  } while (!isReadWithoutTrace(`${resource}.flock`) && Date.now() < end);
  expect(isReadWithoutTrace(`${resource}.flock`)).toBe(true);
});
