import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { type FileLock, lock, tryLock, withLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { linkedPathTo, temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

type Mode = 'exclusive' | 'shared';

/** Asks in an actor, which signs the log while it holds the lock. */
function signInTurn(actor: Actor, resource: string, mode: Mode, name: string): Promise<void> {
  return actor.run(
    async ({ holdfast }, resource, mode, name) => {
      const lock = await holdfast.lock(resource, { mode });
      process.getBuiltinModule('node:fs').appendFileSync(`${resource}.log`, name);
      lock.release();
    },
    resource,
    mode,
    name,
  );
}

const log = (resource: string) => readFileSync(`${resource}.log`, 'utf8');

test('tasks of one process get the lock in the order in which they asked', async () => {
  const resource = temporaryResource();
  const first = await lock(resource);
  const order: number[] = [];
  const numbers = Array.from({ length: 200 }, (_, number) => number);
  const tasks = numbers.map((number) =>
    withLock(resource, { mode: number % 3 === 0 ? 'shared' : 'exclusive' }, async () => {
      order.push(number);
      await new Promise(setImmediate);
    }),
  );
  first.release();
  await Promise.all(tasks);
  expect(order).toEqual(numbers);
});

test('processes get the lock in the order in which they asked', async () => {
  const resource = temporaryResource();
  const first = await lock(resource);
  const names = ['a', 'b', 'c', 'd', 'e'];
  const actors = await Promise.all(names.map(() => Actor.start()));
  const tasks: Promise<void>[] = [];
  for (const [index, actor] of actors.entries()) {
    tasks.push(signInTurn(actor, resource, 'exclusive', names[index] as string));
    await untilBlocked(`${resource}.flock`, index + 1);
  }
  first.release();
  await Promise.all(tasks);
  expect(log(resource)).toBe('abcde');
});

needs('/proc')('a lock is handed over within a process without a thread for it', async () => {
  // On a busy machine a turn may be over in between; then the next one waits behind others.
  const starts = await Promise.all([1, 2, 3].map(startedThreads));
  expect(Math.min(...starts)).toBe(0);
});

/** How many threads a process of its own starts for three hand-overs within it. */
async function startedThreads(): Promise<number> {
  const resource = temporaryResource();
  const actor = await Actor.start();
  return actor.run(async ({ holdfast }, resource) => {
    const { readdirSync } = process.getBuiltinModule('node:fs');
    const threads = () => readdirSync('/proc/self/task').length;
    const before = threads();
    const first = await holdfast.lock(resource);
    const seen: number[] = [];
    const tasks = Array.from({ length: 3 }, () =>
      holdfast.withLock(resource, async () => {
        seen.push(threads());
        await new Promise(setImmediate);
      }),
    );
    await new Promise(setImmediate);
    seen.push(threads());
    first.release();
    await Promise.all(tasks);
    return Math.max(...seen) - before;
  }, resource);
}

async function orderOf(writerPath: string, readerPath: string): Promise<string[]> {
  const reading = await lock(writerPath, { mode: 'shared' });
  const order: string[] = [];
  const writer = withLock(writerPath, () => order.push('writer'));
  const reader = withLock(readerPath, { mode: 'shared' }, () => order.push('reader'));
  expect(tryLock(readerPath, { mode: 'shared' })).toBeNull();
  reading.release();
  await Promise.all([writer, reader]);
  return order;
}

test('a waiting writer is not overtaken by later readers of its own process', async () => {
  const resource = temporaryResource();
  expect(await orderOf(resource, resource)).toEqual(['writer', 'reader']);
});

needs('symbolic links')(
  'a waiting writer is not overtaken by later readers that come by another path',
  async () => {
    const resource = temporaryResource();
    expect(await orderOf(resource, linkedPathTo(resource))).toEqual(['writer', 'reader']);
  },
);

needs('/proc')('a waiting writer is not overtaken by readers of another process', async () => {
  const resource = temporaryResource();
  const [writing, reading] = await Promise.all([Actor.start(), Actor.start()]);
  const first = await lock(resource, { mode: 'shared' });
  const writer = signInTurn(writing, resource, 'exclusive', 'writer,');
  await untilBlocked(`${resource}.flock`, 1);
  const reader = signInTurn(reading, resource, 'shared', 'reader,');
  await untilBlocked(`${resource}.flock`, 2);
  const attempt = reading.run(
    ({ holdfast }, resource) => holdfast.tryLock(resource, { mode: 'shared' }) === null,
    resource,
  );
  await expect(attempt).resolves.toBe(true);
  expect(tryLock(resource, { mode: 'shared' })).toBeNull();
  first.release();
  await Promise.all([writer, reader]);
  expect(log(resource)).toBe('writer,reader,');
});

test('waiting readers, here and in other processes, are granted together', async () => {
  const resource = temporaryResource();
  const actors = await Promise.all([Actor.start(), Actor.start()]);
  const writing = await actors[0].run(({ holdfast, kept }, resource) => {
    kept['lock'] = holdfast.lockSync(resource);
    return kept['lock'].held;
  }, resource);
  expect(writing).toBe(true);
  const ours = [1, 2, 3].map(() => lock(resource, { mode: 'shared' }));
  await untilBlocked(`${resource}.flock`, 1);
  const theirs = actors[1].run(async ({ holdfast, kept }, resource) => {
    kept['lock'] = await holdfast.lock(resource, { mode: 'shared' });
    return kept['lock'].held;
  }, resource);
  await untilBlocked(`${resource}.flock`, 2);
  await actors[0].run(({ kept }) => kept['lock'].release());
  const held: FileLock[] = await Promise.all(ours);
  await expect(theirs).resolves.toBe(true);
  expect(held.every((lock) => lock.held)).toBe(true);
  for (const lock of held) lock.release();
});

/** A process whose queue never gets empty; each holder leaves a byte in the log. */
async function busyProcess(resource: string): Promise<Actor> {
  writeFileSync(`${resource}.log`, '');
  const actor = await Actor.start();
  await actor.run(async ({ holdfast, kept }, resource) => {
    const { appendFileSync } = process.getBuiltinModule('node:fs');
    const again = (): Promise<void> =>
      holdfast
        .withLock(resource, async () => {
          appendFileSync(`${resource}.log`, '.');
          await new Promise(setImmediate);
        })
        .then(() => (kept['stop'] === true ? undefined : again()));
    kept['tasks'] = Array.from({ length: 100 }, again);
    await new Promise(setImmediate);
  }, resource);
  return actor;
}

test('a process with a full queue of its own lets another process have its turn', async () => {
  const resource = temporaryResource();
  await busyProcess(resource);
  const waits: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    const before = statSync(`${resource}.log`).size;
    const held = await lock(resource);
    waits.push(statSync(`${resource}.log`).size - before);
    held.release();
  }
  // 64 hand-overs, and what happened between the look at the log and the wait in the kernel, which is
  // more where the machine is busy just then.
  expect(waits.sort((a, b) => a - b)[10]).toBeLessThan(64 * 4);
});

needs('flock(1)')('a process with a full queue of its own does not starve flock(1)', async () => {
  const resource = temporaryResource();
  await busyProcess(resource);
  for (let round = 0; round < 5; round += 1) {
    const { code } = await start('flock', [`${resource}.flock`, 'true']).ended;
    expect(code).toBe(0);
  }
});
