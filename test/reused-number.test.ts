import {
  closeSync,
  fstatSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { lock, lockSync, releaseAll, tryLock } from 'holdfast';
import { expect } from 'vitest';
import { linkedPathTo, temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';

const losesName = needs('open files that lose their name when they are deleted');
const losesNameAndLinks = needs(
  'open files that lose their name when they are deleted',
  'symbolic links',
);

/** Two who wait, the first of whom got the lock of a new file that nobody told them of, and what is left of the old one. */
async function afterDeletion(resource: string) {
  tryLock(resource)?.release();
  const old = openSync(`${resource}.flock`, 'r');
  const { ino } = fstatSync(old);
  const held = tryLock(resource);
  const waiting = [lock(resource), lock(resource)] as const;
  rmSync(`${resource}.flock`);
  // Not handed over, which would show that its file is not the one at the path.
  releaseAll();
  expect(held?.held).toBe(false);
  const first = await waiting[0];
  closeSync(old);
  const end = async () => {
    first.release();
    (await waiting[1]).release();
  };
  return { ino, end };
}

losesNameAndLinks(
  'those who waited for a deleted lock file are found by the new one, whatever the path',
  async () => {
    const resource = temporaryResource();
    const { end } = await afterDeletion(resource);
    expect(() => lockSync(linkedPathTo(resource), { timeout: 50 })).toThrow(
      expect.objectContaining({ code: 'EDEADLK' }),
    );
    await end();
  },
);

/** Another resource, whose lock file has got this number, which is free again. */
function reuseOf(ino: number, resource: string): string | undefined {
  return Array.from({ length: 100 }, (_, index) => `${resource}-${index}`).find((path) => {
    writeFileSync(`${path}.flock`, '');
    return statSync(`${path}.flock`).ino === ino;
  });
}

const noReuse = 'needs a file system that uses numbers again';

losesName(
  'those who waited for a deleted lock file are not found by another one that got its number',
  async (context) => {
    const resource = temporaryResource();
    const { ino, end } = await afterDeletion(resource);
    const other = reuseOf(ino, resource);
    if (other !== undefined) {
      const before = tryLock(other);
      const after = lock(other);
      before?.release();
      (await after).release();
    }
    // Even where nothing was shown: who still waits meets a folder that is gone.
    await end();
    if (other === undefined) context.skip(noReuse);
  },
);

needs('open files that can be replaced')(
  'nor where the next one of them first had to wait for its turn behind other processes',
  async (context) => {
    const resource = temporaryResource();
    const first = await lock(resource);
    const waiting = [1, 2, 3].map(() => lock(resource));
    const { ino } = statSync(first.lockPath);
    first.release();
    const second = await waiting[0];
    // Longer than a thread hands a lock from task to task.
    await sleep(20);
    writeFileSync(`${resource}.new`, '');
    renameSync(`${resource}.new`, first.lockPath);
    second?.release();
    const third = await waiting[1];
    const other = reuseOf(ino, resource);
    const before = other === undefined ? null : tryLock(other);
    const after = other === undefined ? null : lock(other);
    third?.release();
    before?.release();
    (await after)?.release();
    (await waiting[2])?.release();
    if (other === undefined) context.skip(noReuse);
  },
);
