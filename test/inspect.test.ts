import { existsSync, writeFileSync } from 'node:fs';
import { inspect, lock, tryLock } from 'holdfast';
import { expect, test, vi } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';
import { emptyLocksOnce } from './helpers/refusals.js';

function hold(actor: Actor, resource: string, mode: 'exclusive' | 'shared' = 'exclusive') {
  return actor.run(
    async ({ holdfast, kept }, resource, mode) => {
      kept['lock'] = await holdfast.lock(resource, { mode, label: 'at work' });
    },
    resource,
    mode,
  );
}

test('inspect says missing where there is no lock file, and makes none', async () => {
  const resource = temporaryResource();
  expect(await inspect(resource)).toMatchObject({ state: 'missing', holder: null, crashed: false });
  expect((await inspect(`${resource}/below/nothing`)).state).toBe('missing');
  expect(existsSync(`${resource}.flock`)).toBe(false);
});

test('inspect says missing below a file, where no lock file can be', async () => {
  const file = temporaryResource();
  writeFileSync(file, '');
  expect((await inspect(`${file}/below`)).state).toBe('missing');
});

test('inspect says that a holder who came before the clock was set back holds for no time', async () => {
  const resource = temporaryResource();
  using _ = tryLock(resource);
  const clock = vi.spyOn(Date, 'now').mockReturnValue(1);
  try {
    expect((await inspect(resource)).ageMs).toBe(0);
  } finally {
    clock.mockRestore();
  }
});

test('inspect says free after a release', async () => {
  const resource = temporaryResource();
  tryLock(resource)?.release();
  expect(await inspect(resource)).toMatchObject({
    lockPath: `${resource}.flock`,
    state: 'free',
    holder: null,
    ageMs: null,
    crashed: false,
    previousHolder: null,
  });
});

test('inspect names the exclusive holder in another process', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await hold(actor, resource);
  const { state, holder, ageMs, crashed } = await inspect(resource);
  expect({ state, crashed }).toEqual({ state: 'exclusive', crashed: false });
  expect(holder).toMatchObject({ pid: actor.pid, label: 'at work', token: 1n, lease: null });
  expect(holder?.whereabouts).toBe('alive');
  expect(ageMs).toBeGreaterThanOrEqual(0);
});

test('inspect says that this very process is the holder', async () => {
  const resource = temporaryResource();
  using _ = tryLock(resource, { lease: 60_000 });
  const { holder } = await inspect(resource);
  expect(holder).toMatchObject({
    pid: process.pid,
    lease: 60_000,
    whereabouts: 'this process',
  });
});

test('inspect with lockPath looks at that file', async () => {
  const lockPath = temporaryResource();
  using _ = tryLock('whatever', { lockPath });
  expect((await inspect('whatever', { lockPath })).state).toBe('exclusive');
});

test('inspect says shared, and that an exclusive holder crashed before', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await hold(actor, resource);
  await actor.kill();
  expect(await inspect(resource)).toMatchObject({
    state: 'free',
    crashed: true,
    previousHolder: { pid: actor.pid, label: 'at work' },
  });
  using _ = tryLock(resource, { mode: 'shared' });
  expect(await inspect(resource)).toMatchObject({ state: 'shared', crashed: true });
});

needs('/proc')('inspect names every shared holder', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await hold(actor, resource, 'shared');
  using _ = tryLock(resource, { mode: 'shared' });
  const { state, holders } = await inspect(resource);
  expect(state).toBe('shared');
  expect(holders.map(({ pid }) => pid).sort()).toEqual([actor.pid, process.pid].sort());
});

needs('/proc', 'built-in modules that can be patched')(
  'inspect names a holder that the kernel left out of its list',
  async () => {
    const resource = temporaryResource();
    using _ = tryLock(resource, { record: false });
    emptyLocksOnce();
    const { state, holder } = await inspect(resource);
    expect([state, holder?.pid]).toEqual(['exclusive', process.pid]);
  },
);

needs('/proc', 'flock(1)')('inspect names flock(1), which leaves no record', async () => {
  const resource = temporaryResource();
  const { child, printed } = start('flock', [`${resource}.flock`, '-c', 'echo in; read line']);
  await printed('in');
  const { state, holder, ageMs, crashed } = await inspect(resource);
  expect({ state, ageMs, crashed }).toEqual({ state: 'exclusive', ageMs: null, crashed: false });
  expect(holder?.pid).toBe(child.pid);
  expect(holder?.command).toMatch(/^\S*flock .*resource\.flock -c/);
});

needs('/proc', 'flock(1)')(
  'inspect does not take flock(1) for the holder who crashed',
  async () => {
    const resource = temporaryResource();
    const actor = await Actor.start();
    await hold(actor, resource);
    await actor.kill();
    const { child, printed } = start('flock', [`${resource}.flock`, '-c', 'echo in; read line']);
    await printed('in');
    expect(await inspect(resource)).toMatchObject({
      state: 'exclusive',
      holder: { pid: child.pid, label: null },
      crashed: true,
      previousHolder: { pid: actor.pid },
    });
  },
);

needs('/proc', 'flock(1)')('inspect cuts a command line that goes on for long', async () => {
  const resource = temporaryResource();
  const line = `echo in; read line; : ${'x'.repeat(2_000)}`;
  const { printed } = start('flock', [`${resource}.flock`, '-c', line]);
  await printed('in');
  expect((await inspect(resource)).holder?.command).toHaveLength(1_000);
});

needs('/proc', 'flock(1)')('inspect finds the child that inherited the lock', async () => {
  const resource = temporaryResource();
  const script = `exec 9>"$0"; flock 9; (echo in; exec sleep 1000) & wait`;
  const { child, printed } = start('sh', ['-c', script, `${resource}.flock`], { detached: true });
  await printed('in');
  const { state, holder } = await inspect(resource);
  expect(state).toBe('exclusive');
  // Taken by flock(1), which has ended; kept by the shell and what it started.
  expect(holder?.command).toMatch(/^(\S*sh -c|sleep 1000)/);
  expect(holder?.whereabouts).toBe('alive');
  process.kill(-(child.pid as number), 'SIGKILL');
});

needs('/proc')('inspect counts who waits, in other processes and here', async () => {
  const resource = temporaryResource();
  const actors = await Promise.all([Actor.start(), Actor.start()]);
  const held = tryLock(resource);
  const waiting = actors.map((actor) => hold(actor, resource));
  await untilBlocked(`${resource}.flock`, 2);
  expect((await inspect(resource)).waiters).toBe(2);
  const here = [lock(resource), lock(resource)];
  expect((await inspect(resource)).waiters).toBe(4);
  held?.release();
  for (const next of here) (await next).release();
  await Promise.race(waiting);
  // The other one moves up from the queue to the lock in this moment.
  await untilBlocked(`${resource}.flock`, 1);
  expect((await inspect(resource)).waiters).toBe(1);
  await Promise.all(actors.map((actor) => actor.kill()));
  await Promise.allSettled(waiting);
});

test('statuses, locks and errors can be written as JSON, with tokens as strings', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await hold(actor, resource);
  const error = await lock(resource, { timeout: 0 }).catch((error: unknown) => error);
  const asJson = (value: unknown) => JSON.parse(JSON.stringify(value));
  expect(asJson(error)).toMatchObject({ code: 'ERR_LOCK_TIMEOUT', holder: { token: '1' } });
  expect(asJson(await inspect(resource))).toMatchObject({
    holder: { token: '1' },
    holders: [{ token: '1' }],
  });
  await actor.kill();
  expect(asJson(await inspect(resource))).toMatchObject({ previousHolder: { token: '1' } });
  using next = await lock(resource, { label: 'next' });
  expect(asJson(next)).toEqual({
    resource,
    lockPath: `${resource}.flock`,
    mode: 'exclusive',
    label: 'next',
    token: '2',
    previousHolder: expect.objectContaining({ pid: actor.pid, token: '1' }),
    held: true,
  });
});

test('inspect refuses arguments that it cannot use', async () => {
  await expect(inspect('')).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  await expect(inspect('x', { lockPath: '' })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
  });
});
