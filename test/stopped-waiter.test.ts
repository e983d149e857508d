import { lock, lockSync, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import type { LockFile } from '../src/lock-file.js';
import { status } from '../src/native.js';
import { toRequest } from '../src/options.js';
import { waitOrPass } from '../src/past-waiters.js';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { startModule } from './helpers/program.js';

// Whoever is stopped while it is the first to wait (SIGSTOP, Ctrl-Z, a debugger) does not take what
// comes free, and keeps its place: nobody would get the lock until it goes on.
const stops = needs('/proc', 'POSIX signals', 'a queue before the lock');

/** A process that is stopped while it waits for what this one holds. */
async function stoppedWaiter(resource: string): Promise<Actor> {
  const stopped = await Actor.start();
  stopped.run(({ holdfast }, resource) => holdfast.lock(resource).then(() => {}), resource);
  await untilBlocked(`${resource}.flock`, 1);
  stopped.signal('SIGSTOP');
  // A stopped thread is not in the kernel's queue any more.
  await untilBlocked(`${resource}.flock`, 0);
  return stopped;
}

stops.each([
  ['lock', 'exclusive'],
  ['lock', 'shared'],
  ['lockSync', 'exclusive'],
  ['lockSync', 'shared'],
] as const)('%s(), %s, passes a stopped waiter when its time is over', async (how, mode) => {
  const resource = temporaryResource();
  const held = await lock(resource);
  const stopped = await stoppedWaiter(resource);
  const other = await Actor.start();
  const waiting = other.run(
    async ({ holdfast }, resource, how, mode) =>
      (await holdfast[how](resource, { mode, timeout: 1_000 })).mode,
    resource,
    how,
    mode,
  );
  await untilBlocked(`${resource}.flock`, 1);
  held.release();
  await expect(waiting).resolves.toBe(mode);
  await other.kill();
  stopped.signal('SIGCONT');
});

stops(
  'those behind one that passed a stopped waiter in the same process have their turn',
  async () => {
    const resource = temporaryResource();
    const holder = await Actor.start();
    await holder.run(({ holdfast, kept }, resource) => {
      kept['lock'] = holdfast.lockSync(resource);
    }, resource);
    const stopped = await stoppedWaiter(resource);
    const waiting = lock(resource, { timeout: 1_000 });
    const next = lock(resource, { timeout: 3_000 });
    await untilBlocked(`${resource}.flock`, 1);
    await holder.run(({ kept }) => kept['lock'].release());
    const passed = await waiting;
    passed.release();
    // The one that passed does not have it once more, in its old place.
    using last = await next;
    expect(last.token).toBe((passed.token as bigint) + 1n);
    // Nor does what they left in the kernel keep the lock.
    stopped.signal('SIGCONT');
  },
);

stops('short waits do not pass a stopped waiter', async () => {
  const resource = temporaryResource();
  const held = await lock(resource);
  const stopped = await stoppedWaiter(resource);
  held.release();
  const codeOf = (error: NodeJS.ErrnoException) => error.code;
  await expect(lock(resource, { timeout: 50 }).catch(codeOf)).resolves.toBe('ERR_LOCK_TIMEOUT');
  expect(() => lockSync(resource, { timeout: 50 })).toThrow('timed out');
  stopped.signal('SIGCONT');
});

// Its clock runs a hundred times as fast.
const waitWithoutLimit = `
  const { setTimeout: real } = globalThis;
  let looks = 0;
  globalThis.setTimeout = (fn, ms, ...rest) => {
    const look = () => { looks += 1; fn(); };
    return real(ms === 10_000 ? look : fn, ms / 100, ...rest);
  };
  const { lock } = await import(process.env.HOLDFAST_ENTRY);
  const { mode } = await lock(process.argv.at(-1), { mode: 'shared' });
  console.log(mode, looks);
`;

stops('a wait without a limit passes a stopped waiter at its second look', async () => {
  const resource = temporaryResource();
  const held = await lock(resource);
  await stoppedWaiter(resource);
  held.release();
  const program = startModule(waitWithoutLimit, resource);
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'shared 2\n' });
});

const manyWaits = `
  const { setTimeout: real } = globalThis;
  let timers = 0;
  globalThis.setTimeout = (fn, ms, ...rest) => {
    if (ms === 10_000) timers += 1;
    return real(fn, ms, ...rest);
  };
  const { lock } = await import(process.env.HOLDFAST_ENTRY);
  const ended = new AbortController();
  const { signal } = ended;
  const waits = process.argv.slice(-3).map((resource) => lock(resource, { signal }));
  console.log(timers);
  ended.abort();
  await Promise.allSettled(waits);
`;

// Each would see who waits, and two looks of two timers may be close together.
test('one timer looks for all who wait in a process', async () => {
  const resources = [temporaryResource(), temporaryResource(), temporaryResource()];
  const locks = resources.map((resource) => tryLock(resource));
  const program = startModule(manyWaits, ...resources);
  expect(await program.ended).toMatchObject({ code: 0, stdout: '1\n' });
  for (const lock of locks) lock?.release();
});

test('a blocked thread looks every 10 s whether it can pass, until its time is over', () => {
  const resource = temporaryResource();
  const held = tryLock(resource);
  const blocked: number[] = [];
  const waiting = (onBlock = () => {}) =>
    ({
      waitFor(milliseconds: number) {
        blocked.push(milliseconds);
        onBlock();
        return status.contended;
      },
    }) as LockFile;
  const request = toRequest(resource, { timeout: 25_000 });
  expect(waitOrPass(waiting(), 25_000, request)).toBeUndefined();
  expect(blocked.splice(0)).toEqual([10_000, 10_000, 5_000]);
  expect(waitOrPass(waiting(), 10_000, request)).toBeUndefined();
  expect(blocked.splice(0)).toEqual([10_000]);
  const release = () => {
    if (blocked.length === 2) held?.release();
  };
  const passed = waitOrPass(waiting(release), 25_000, request);
  expect(blocked).toEqual([10_000, 10_000]);
  expect(tryLock(resource)).toBeNull();
  passed?.letGo();
});

stops('a stopped writer is not passed by readers while somebody reads', async () => {
  const resource = temporaryResource();
  const reading = await lock(resource, { mode: 'shared' });
  await stoppedWaiter(resource);
  const reader = await Actor.start();
  const code = await reader.run(
    ({ holdfast }, resource) =>
      holdfast
        .lock(resource, { mode: 'shared', timeout: 1_000 })
        .then(() => 'granted')
        .catch(({ code }: NodeJS.ErrnoException) => code),
    resource,
  );
  expect(code).toBe('ERR_LOCK_TIMEOUT');
  reading.release();
});
