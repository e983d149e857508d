import { expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';

const count = 10_000;

needs('sh')('one process holds 10,000 locks at once and lets all of them go', async () => {
  const resource = temporaryResource();
  // The shell raises the limit of open files as far as it may.
  const actor = await Actor.start({
    execPath: 'sh',
    execArgv: ['-c', 'ulimit -n "$(ulimit -H -n)"; exec "$0" "$@"', process.execPath],
  });
  const { taken, listed, limited } = await actor.run(
    async ({ holdfast, kept }, resource, count) => {
      kept['locks'] = [];
      try {
        for (let index = 0; index < count; index += 1) {
          kept['locks'].push(await holdfast.lock(`${resource}-${index}`));
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error;
        return { taken: kept['locks'].length, listed: 0, limited: true };
      }
      const listed = holdfast.heldLocks().length;
      return { taken: kept['locks'].length, listed, limited: false };
    },
    resource,
    count,
  );
  if (limited) console.log(`this system limits a process to ${taken} open lock files`);
  else expect([taken, listed]).toEqual([count, count]);

  const other = await Actor.start();
  const free = (index: number) =>
    other.run(({ holdfast }, path) => {
      const lock = holdfast.tryLock(path);
      lock?.release();
      return lock !== null;
    }, `${resource}-${index}`);
  const some = [0, 1, Math.floor(taken / 2), taken - 1];
  expect(await Promise.all(some.map(free))).toEqual([false, false, false, false]);
  const released = await actor.run(({ holdfast }) => holdfast.releaseAll());
  expect(released).toBe(taken);
  expect(await Promise.all(some.map(free))).toEqual([true, true, true, true]);
  await expect(actor.run(({ holdfast }) => holdfast.heldLocks().length)).resolves.toBe(0);
});
