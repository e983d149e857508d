import { chmodSync, closeSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { flock, inspect, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { faults } from './helpers/faults.js';
import { temporaryFolder, temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { moduleCommand, start } from './helpers/program.js';
import { onHandles } from './helpers/refusals.js';

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

// On Windows a lock on the whole file keeps others from reading it; Wine lets them.
needs('built-in modules that can be patched')(
  'inspect tells of a holder who lets nobody read the file',
  async () => {
    const lockPath = temporaryResource();
    using held = tryLock('x', { lockPath });
    onHandles('read', () => async () => {
      throw Object.assign(new Error('on purpose'), { code: 'EBUSY' });
    });
    expect(held?.held).toBe(true);
    expect(await inspect('x', { lockPath })).toMatchObject({ state: 'exclusive', crashed: false });
  },
);

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

// Made of two file systems it has numbers for stat(2) that are not the ones in /proc/locks.
const mountOverlay = `
  mkdir low top merged && mount -t tmpfs none low && mount -t tmpfs none top &&
  mkdir top/up top/work &&
  mount -t overlay -o xino=off,lowerdir=low,upperdir=top/up,workdir=top/work none merged`;

needs('the right to mount', 'flock(1)')('inspect names a holder on an overlay', async () => {
  const folder = temporaryFolder();
  const holdHere = 'exec 9>merged/x.flock && flock 9';
  const before = `cd "${folder}" && ${mountOverlay} && ${holdHere}`;
  const status = await inspectUnder(['-m'], before, `${folder}/merged/x`);
  expect(status).toMatchObject({ state: 'exclusive', whereabouts: 'this process' });
});

needs('a runtime that starts without /proc')('inspect tells the state without /proc', async () => {
  const resource = temporaryResource();
  const hideAll = 'mount -t tmpfs none /proc';
  const held = tryLock(resource);
  expect((await inspectUnder(['-m'], hideAll, resource)).state).toBe('exclusive');
  held?.release();
  expect((await inspectUnder(['-m'], hideAll, resource)).state).toBe('free');
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

needs('faults by LD_PRELOAD', '/proc')(
  'inspect does not say that nobody waits where waiters cannot be seen',
  async () => {
    const resource = temporaryResource();
    const actor = await Actor.start({ env: faults });
    using held = tryLock(resource);
    expect(held?.held).toBe(true);
    expect((await inspect(resource)).waiters).toBe(0);
    const status = actor.run(({ holdfast }, resource) => {
      process.env['FAULT_STATFS'] = '0x6969';
      return holdfast.inspect(resource);
    }, resource);
    expect(await status).not.toHaveProperty('waiters');
  },
);

needs('faults by LD_PRELOAD', '/proc')(
  'inspect counts the waiters that can be seen, also where others cannot',
  async () => {
    const resource = temporaryResource();
    const [waiter, actor] = [await Actor.start(), await Actor.start({ env: faults })];
    const held = tryLock(resource);
    const waiting = waiter.run(async ({ holdfast }, resource) => {
      (await holdfast.lock(resource)).release();
    }, resource);
    await untilBlocked(`${resource}.flock`, 1);
    const status = actor.run(({ holdfast }, resource) => {
      process.env['FAULT_STATFS'] = '0x6969';
      return holdfast.inspect(resource);
    }, resource);
    expect(await status).toMatchObject({ waiters: 1 });
    held?.release();
    await waiting;
  },
);

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

needs('faults by LD_PRELOAD', 'symbolic links')(
  'inspect refuses a symbolic link where everything is called a network',
  async () => {
    const resource = temporaryResource();
    writeFileSync(`${resource}.target`, '');
    symlinkSync(`${resource}.target`, `${resource}.flock`);
    const actor = await Actor.start({ env: faults });
    const look = actor.run(async ({ holdfast }, resource) => {
      process.env['FAULT_STATFS'] = '0x6969';
      return (await holdfast.inspect(resource)).state;
    }, resource);
    await expect(look).rejects.toMatchObject({ code: 'ERR_LOCK_NOT_REGULAR' });
  },
);

needs('mkfifo')('inspect does not hang at a FIFO', async () => {
  const resource = temporaryResource();
  await start('mkfifo', [`${resource}.flock`]).ended;
  await expect(inspect(resource)).rejects.toMatchObject({ code: 'ERR_LOCK_NOT_REGULAR' });
});
