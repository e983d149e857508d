import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { flock, inspect, type LockStatus, lock, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { faults } from './helpers/faults.js';
import { temporaryFolder, temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { moduleCommand, start } from './helpers/program.js';

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
  expect((await inspect(resource)).waiters).toBe(1);
  await Promise.all(actors.map((actor) => actor.kill()));
  await Promise.allSettled(waiting);
});

test('inspect writes nothing and changes no time of the file', async () => {
  const resource = temporaryResource();
  tryLock(resource, { label: 'before' })?.release();
  const lockPath = `${resource}.flock`;
  const before = [readFileSync(lockPath, 'utf8'), statSync(lockPath).mtimeMs];
  for (let i = 0; i < 10; i += 1) await inspect(resource);
  expect([readFileSync(lockPath, 'utf8'), statSync(lockPath).mtimeMs]).toEqual(before);
});

test('inspect leaves the holder its lock and the waiter its turn', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  const held = tryLock(resource);
  const waiting = hold(actor, resource);
  await untilBlocked(`${resource}.flock`, 1);
  for (let i = 0; i < 200; i += 1) expect((await inspect(resource)).state).toBe('exclusive');
  expect(held?.held).toBe(true);
  held?.release();
  await waiting;
  expect(await inspect(resource)).toMatchObject({ holder: { pid: actor.pid } });
});

test('inspect never sees a crash where holders come and go', { timeout: 60_000 }, async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  const turns = actor.run(async ({ holdfast, kept }, resource) => {
    kept['go'] = true;
    let count = 0;
    for (; kept['go']; count += 1) {
      (await holdfast.lock(resource)).release();
      if (count % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return count;
  }, resource);
  const seen = new Set<LockStatus['state']>();
  for (let i = 0; i < 1_000; i += 1) {
    const { state, crashed } = await inspect(resource);
    seen.add(state);
    expect(crashed).toBe(false);
  }
  await actor.run(({ kept }) => {
    kept['go'] = false;
  });
  expect(await turns).toBeGreaterThan(100);
  expect(seen.has('shared')).toBe(false);
});

test('inspect needs no permission to write', async () => {
  const resource = temporaryResource();
  writeFileSync(`${resource}.flock`, '');
  chmodSync(`${resource}.flock`, 0o444);
  expect((await inspect(resource)).state).toBe('free');
  const fd = openSync(`${resource}.flock`, 'r');
  flock(fd, 'exclusive');
  expect((await inspect(resource)).state).toBe('exclusive');
  closeSync(fd);
});

needs('root', '/proc')('inspect names the holder of a file that it may not open', async () => {
  const folder = temporaryFolder('/tmp');
  chmodSync(folder, 0o755);
  const resource = `${folder}/resource`;
  const nobody = await Actor.start({ uid: 65534, gid: 65534 });
  const look = () =>
    nobody.run(async ({ holdfast }, resource) => {
      const { state, holder } = await holdfast.inspect(resource);
      return { state, pid: holder?.pid };
    }, resource);
  const held = tryLock(resource);
  expect(await look()).toEqual({ state: 'exclusive', pid: process.pid });
  held?.release();
  await expect(look()).rejects.toMatchObject({ code: 'EACCES', syscall: 'open' });
});

// The kernel's list is hidden, or shows another pid namespace.
const hideLocks = 'mount --bind /dev/null /proc/locks';
const script = `
  const { inspect } = await import(process.env.HOLDFAST_ENTRY);
  const { holder, ...rest } = await inspect(process.argv[2]);
  console.log(JSON.stringify({ ...rest, pid: holder?.pid, whereabouts: holder?.whereabouts },
    (_, value) => (typeof value === 'bigint' ? String(value) : value)));
`;

async function inspectUnder(unshare: string[], before: string, resource: string) {
  const entry = new URL('../dist/index.js', import.meta.url).href;
  const command = `${before}; exec "$@"`;
  const { ended } = start(
    'unshare',
    [...unshare, 'sh', '-c', command, 'sh', ...moduleCommand(script), resource],
    { env: { ...process.env, HOLDFAST_ENTRY: entry } },
  );
  const { stdout, stderr } = await ended;
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

needs('the right to mount')('without /proc/locks, the probe and the record tell', async () => {
  const resource = temporaryResource();
  const held = tryLock(resource);
  expect(await inspectUnder(['-m'], hideLocks, resource)).toMatchObject({
    state: 'exclusive',
    pid: process.pid,
    whereabouts: 'alive',
  });
  held?.release();
  const free = await inspectUnder(['-m'], hideLocks, resource);
  expect(free).toMatchObject({ state: 'free', crashed: false });
  using _ = tryLock(resource, { mode: 'shared' });
  expect((await inspectUnder(['-m'], hideLocks, resource)).state).toBe('shared');
});

needs('the right to mount')('inspect says that a holder is in another pid namespace', async () => {
  const resource = temporaryResource();
  using _ = tryLock(resource);
  const status = await inspectUnder(['-m', '-p', '-f', '--mount-proc'], 'true', resource);
  expect(status).toMatchObject({
    state: 'exclusive',
    pid: process.pid,
    whereabouts: 'elsewhere',
    crashed: false,
  });
});

needs('faults by LD_PRELOAD')('inspect works where everything is called a network', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start({ env: faults });
  const look = () =>
    actor.run(async ({ holdfast }, resource) => {
      process.env['FAULT_STATFS'] = '0x6969';
      return (await holdfast.inspect(resource)).state;
    }, resource);
  expect(await look()).toBe('missing');
  const held = tryLock(resource);
  expect(await look()).toBe('exclusive');
  held?.release();
  expect(await look()).toBe('free');
  chmodSync(`${resource}.flock`, 0o444);
  expect(await look()).toBe('free');
});

needs('symbolic links')(
  'inspect refuses a symbolic link and a folder at the lock path',
  async () => {
    const resource = temporaryResource();
    symlinkSync('/etc/passwd', `${resource}.flock`);
    await expect(inspect(resource)).rejects.toMatchObject({ code: 'ERR_LOCK_NOT_REGULAR' });
    const lockPath = temporaryFolder();
    await expect(inspect('x', { lockPath })).rejects.toMatchObject({
      code: 'ERR_LOCK_NOT_REGULAR',
    });
  },
);

needs('mkfifo')('inspect does not hang at a FIFO', async () => {
  const resource = temporaryResource();
  await start('mkfifo', [`${resource}.flock`]).ended;
  await expect(inspect(resource)).rejects.toMatchObject({ code: 'ERR_LOCK_NOT_REGULAR' });
});

test('inspect refuses arguments that it cannot use', async () => {
  await expect(inspect('')).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  await expect(inspect('x', { lockPath: '' })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
  });
});
