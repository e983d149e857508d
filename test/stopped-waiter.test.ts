import { lock } from 'holdfast';
import { expect } from 'vitest';
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

stops('a wait without a limit passes a stopped waiter', async () => {
  const resource = temporaryResource();
  const held = await lock(resource);
  await stoppedWaiter(resource);
  const program = startModule(
    `// A clock that runs a hundred times as fast.
    const { setTimeout: real } = globalThis;
    globalThis.setTimeout = (fn, ms, ...rest) => real(fn, ms / 100, ...rest);
    const { lock } = await import(process.env.HOLDFAST_ENTRY);
    const { mode } = await lock(process.argv.at(-1), { mode: 'shared' });
    console.log(mode);`,
    resource,
  );
  await untilBlocked(`${resource}.flock`, 1);
  held.release();
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'shared\n' });
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
