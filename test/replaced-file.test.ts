import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { flock, lock, lockSync, tryLock, withLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { linkedPathTo, temporaryFolder, temporaryResource } from './helpers/folder.js';
import { overlapping, parseIntervals } from './helpers/intervals.js';
import { needs } from './helpers/needs.js';

const losesName = needs('open files that lose their name when they are deleted');
const losesNameAndLinks = needs(
  'open files that lose their name when they are deleted',
  'symbolic links',
);

/** Takes the lock in an actor that lets go of it with `letGo`. */
async function holder(resource: string): Promise<Actor> {
  const actor = await Actor.start();
  await actor.run(({ holdfast, kept }, resource) => {
    kept['lock'] = holdfast.lockSync(resource);
  }, resource);
  return actor;
}

const letGo = (actor: Actor) => actor.run(({ kept }) => kept['lock'].release());

// Only its holder may take a lock file away (from under itself, while it holds it): whoever opened
// it before must notice and start again. Unlink after unlock gave 19,727 double holders in 24,000.
needs('POSIX permissions', 'a clock that processes share').each(['deleted', 'replaced'] as const)(
  'six processes never hold a lock together whose file is %s again and again by its holders',
  async (fate) => {
    const resource = temporaryResource();
    const actors = await Promise.all(Array.from({ length: 6 }, () => Actor.start()));
    await Promise.all(
      actors.map((actor, index) =>
        actor.run(
          async ({ holdfast }, resource, who, fate) => {
            const fs = process.getBuiltinModule('node:fs');
            const lines: string[] = [];
            for (let round = 0; round < 150; round += 1) {
              const lock = await holdfast.lock(resource);
              const from = process.hrtime.bigint();
              await new Promise(setImmediate);
              // The lock ends with its file, so the interval does.
              lines.push(`${who} ${from} ${process.hrtime.bigint()}\n`);
              if (fate === 'replaced') {
                fs.writeFileSync(`${resource}.new`, '');
                fs.renameSync(`${resource}.new`, lock.lockPath);
              } else {
                fs.rmSync(lock.lockPath);
              }
              lock.release();
            }
            fs.appendFileSync(`${resource}.log`, lines.join(''));
          },
          resource,
          index,
          fate,
        ),
      ),
    );
    const intervals = parseIntervals(readFileSync(`${resource}.log`, 'utf8'));
    expect(intervals).toHaveLength(6 * 150);
    expect(overlapping(intervals)).toEqual([]);
  },
);

losesName.each(['lock', 'lockSync'] as const)(
  'a waiting %s gets the lock on the file that replaced the one it waited for',
  async (how) => {
    const resource = temporaryResource();
    const actor = await holder(resource);
    const waiting = await Actor.start();
    const granted = waiting.run(
      async ({ holdfast, kept }, resource, how) => {
        kept['lock'] = await holdfast[how](resource);
        return kept['lock'].held;
      },
      resource,
      how,
    );
    await untilBlocked(`${resource}.flock`, 1);
    rmSync(`${resource}.flock`);
    const held = tryLock(resource);
    expect(held).not.toBeNull();
    await letGo(actor);
    await untilBlocked(`${resource}.flock`, 1);
    held?.release();
    await expect(granted).resolves.toBe(true);
    expect(tryLock(resource)).toBeNull();
  },
);

test('a lock is not handed over within a process when its file was renamed meanwhile', async () => {
  const resource = temporaryResource();
  const held = await lock(resource);
  const next = lock(resource);
  // With its name it loses its meaning, though it still has a link.
  renameSync(`${resource}.flock`, `${resource}.old`);
  const actor = await holder(resource);
  held.release();
  await untilBlocked(`${resource}.flock`, 1);
  expect(await Promise.race([next.then(() => 'granted'), 'waiting'])).toBe('waiting');
  await letGo(actor);
  using granted = await next;
  expect(granted.held).toBe(true);
});

losesName(
  'a lock is not handed over within a process when its file was deleted meanwhile',
  async () => {
    const resource = temporaryResource();
    const held = await lock(resource);
    const next = lock(resource);
    rmSync(`${resource}.flock`);
    const actor = await holder(resource);
    held.release();
    await untilBlocked(`${resource}.flock`, 1);
    await letGo(actor);
    using granted = await next;
    expect(granted.held).toBe(true);
  },
);

// A queue that was made for a file must not be found for the next one with the same inode number.
losesName('waiters for a replaced lock file do not hold up those for another file', async () => {
  const resource = temporaryResource();
  const actor = await holder(resource);
  const { ino } = statSync(`${resource}.flock`);
  const waiting = lock(resource);
  await untilBlocked(`${resource}.flock`, 1);
  rmSync(`${resource}.flock`);
  const second = await holder(resource);
  await letGo(actor);
  await untilBlocked(`${resource}.flock`, 1);
  // File systems give a freed number out again, sooner or later.
  const files = Array.from({ length: 50 }, (_, index) => `${resource}-${index}`);
  const sameNumber = files.find((file) => {
    writeFileSync(`${file}.flock`, '');
    return statSync(`${file}.flock`).ino === ino;
  });
  const other = sameNumber ?? `${resource}-0`;
  const held = await lock(other);
  const next = lock(other);
  held.release();
  (await next).release();
  await letGo(second);
  (await waiting).release();
});

losesNameAndLinks(
  'waiters under two names of a replaced lock file all get their turn',
  async () => {
    const resource = temporaryResource();
    const alias = join(temporaryFolder(), 'link');
    symlinkSync(dirname(resource), alias, 'junction');
    const actor = await holder(resource);
    const first = lock(resource);
    await untilBlocked(`${resource}.flock`, 1);
    rmSync(`${resource}.flock`);
    const held = await lock(join(alias, 'resource'));
    const second = lock(join(alias, 'resource'));
    await letGo(actor);
    // The first one has found the new file, for which there is another queue.
    await untilBlocked(`${resource}.flock`, 1);
    held.release();
    const done = await Promise.all([first, second].map(async (next) => (await next).release()));
    expect(done).toHaveLength(2);
  },
);

// In a tight loop the descriptor is kept from one lock to the next.
test.each(['renamed', 'deleted'] as const)(
  'a loop of locks notices that its lock file was %s in between',
  (fate) => {
    const resource = temporaryResource();
    for (let round = 0; round < 200; round += 1) tryLock(resource)?.release();
    if (fate === 'deleted') rmSync(`${resource}.flock`);
    else renameSync(`${resource}.flock`, `${resource}.old`);
    const fd = openSync(`${resource}.flock`, 'wx');
    expect(flock(fd, 'exclusive')).toBe(true);
    expect(tryLock(resource)).toBeNull();
    closeSync(fd);
    for (let round = 0; round < 200; round += 1) {
      const held = tryLock(resource);
      expect(held?.held).toBe(true);
      held?.release();
    }
  },
);

test('a copy of a held lock file is not locked', async () => {
  const resource = temporaryResource();
  using held = lockSync(resource);
  copyFileSync(held.lockPath, `${resource}.copy`);
  using copy = tryLock(resource, { lockPath: `${resource}.copy` });
  expect(copy?.held).toBe(true);
});

losesNameAndLinks(
  'a scope that took the new file by another path than those who wait for the old one is told of its own lock',
  async () => {
    const resource = temporaryResource();
    const actor = await holder(resource);
    const waiting = lock(resource);
    await untilBlocked(`${resource}.flock`, 1);
    rmSync(`${resource}.flock`);
    await withLock(linkedPathTo(resource), async () => {
      const again = expect(lock(resource)).rejects.toMatchObject({ code: 'EDEADLK' });
      const nested = lock(resource, { reentrant: true });
      await letGo(actor);
      await again;
      (await nested).release();
    });
    (await waiting).release();
  },
);
