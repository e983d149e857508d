import { channel } from 'node:diagnostics_channel';
import { readFileSync, writeFileSync } from 'node:fs';
import { inspect, type LockTimeoutError, lock, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { commandOf } from '../src/process-identity.js';
import { Actor } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { moduleCommand, start, startModule } from './helpers/program.js';
import { craftRecord, type RecordMembers } from './helpers/record.js';
import { emptyLocksOnce } from './helpers/refusals.js';
import { startZombie } from './helpers/zombie.js';

async function timeout(resource: string): Promise<LockTimeoutError> {
  return lock(resource, { timeout: 1 }).then(
    () => Promise.reject(new Error('it was granted')),
    (error) => error,
  );
}

/** The members of the record that is in the lock file, to be changed and put back. */
function membersOf(resource: string): RecordMembers {
  const { holdfast, state, crc, ...members } = JSON.parse(
    readFileSync(`${resource}.flock`, 'utf8'),
  );
  return members;
}

test('a timeout names another process by its record', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await actor.run(({ holdfast, kept }, resource) => {
    kept['lock'] = holdfast.tryLock(resource, { label: 'append reply' });
  }, resource);
  const { message, holder } = await timeout(resource);
  expect(message).toMatch(
    new RegExp(`: held for \\d+\\.\\d s by pid ${actor.pid} on host \\S+ \\("append reply"\\)$`),
  );
  expect(holder).toMatchObject({ pid: actor.pid, label: 'append reply', whereabouts: 'alive' });
});

needs('/proc', 'flock(1)')('a timeout names flock(1) by pid and command', async () => {
  const resource = temporaryResource();
  const { child, printed } = start('flock', [`${resource}.flock`, '-c', 'echo in; read line']);
  await printed('in');
  const { message, holder } = await timeout(resource);
  expect(message).toMatch(
    new RegExp(`: held by pid ${child.pid} \\(\\S*flock \\S+resource.flock .*\\)$`),
  );
  expect(holder).toMatchObject({ pid: child.pid, label: null, since: null });
});

needs('/proc')('a timeout names a holder that wrote no record', async () => {
  const resource = temporaryResource();
  using _ = tryLock(resource, { record: false });
  const { message, holder } = await timeout(resource);
  expect(message).toMatch(`: held by pid ${process.pid} (`);
  expect(message).toMatch(/\), which is this very process$/);
  expect(holder?.command).toContain('node');
});

needs('/proc', 'built-in modules that can be patched')(
  'a timeout names a holder that the kernel left out of its list',
  async () => {
    const resource = temporaryResource();
    using _ = tryLock(resource, { record: false });
    emptyLocksOnce();
    expect((await timeout(resource)).holder?.pid).toBe(process.pid);
  },
);

/** A resource that another process shares. */
async function sharedElsewhere() {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await actor.run(({ holdfast, kept }, resource) => {
    kept['lock'] = holdfast.tryLock(resource, { mode: 'shared' });
  }, resource);
  return { resource, actor };
}

needs('/proc')('a timeout counts the other sharers', async () => {
  const { resource } = await sharedElsewhere();
  using _ = tryLock(resource, { mode: 'shared' });
  expect((await timeout(resource)).message).toMatch(/: held by pid \d+ .* and 1 more$/);
});

needs('/proc')('a timeout does not name who gets the lock because of it', async () => {
  const { resource, actor } = await sharedElsewhere();
  const writer = timeout(resource);
  const reader = lock(resource, { mode: 'shared' });
  const { message, holder } = await writer;
  expect(message).toMatch(new RegExp(`: held by pid ${actor.pid} \\(.*\\)$`));
  expect(holder?.pid).toBe(actor.pid);
  (await reader).release();
});

test('the event of a wait that begins tells the holder', async () => {
  const resource = temporaryResource();
  const seen: unknown[] = [];
  const subscriber = (message: unknown) => seen.push(message);
  channel('tracing:holdfast:wait:start').subscribe(subscriber);
  using _ = tryLock(resource, { label: 'busy' });
  await timeout(resource);
  channel('tracing:holdfast:wait:start').unsubscribe(subscriber);
  expect(seen).toMatchObject([
    { resource, mode: 'exclusive', label: null, holder: { pid: process.pid, label: 'busy' } },
  ]);
});

// What another process left in the file is put there by hand: the lock itself is flock(1)'s.
async function heldWithRecord(change: (members: RecordMembers) => Partial<RecordMembers>) {
  const resource = temporaryResource();
  tryLock(resource, { label: 'append reply' })?.release();
  const members = membersOf(resource);
  writeFileSync(`${resource}.flock`, craftRecord({ ...members, ...change(members) }));
  const { child, printed } = start('flock', [`${resource}.flock`, '-c', 'echo in; read line']);
  await printed('in');
  return { resource, pid: child.pid as number };
}

needs('/proc', 'flock(1)')('a pid that was used again is not taken for the holder', async () => {
  const { resource, pid } = await heldWithRecord(({ start }) => ({ start: start - 1 }));
  const { message, holder } = await timeout(resource);
  expect(holder).toMatchObject({ pid, label: null });
  expect(message).not.toContain('append reply');
  expect((await inspect(resource)).crashed).toBe(true);
});

needs('/proc', 'flock(1)')('a process that nobody has reaped is not the holder', async () => {
  const zombie = await startZombie();
  const { resource, pid } = await heldWithRecord(() => zombie);
  expect((await timeout(resource)).holder).toMatchObject({ pid, label: null });
});

needs('/proc')('a holder is found by its record whatever it calls itself', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await actor.run(({ holdfast, kept }, resource) => {
    kept['lock'] = holdfast.tryLock(resource, { label: 'append reply' });
    // In /proc/PID/stat it looks like the state of a process that has ended.
    process.title = 'x) Z 1';
  }, resource);
  expect((await timeout(resource)).holder).toMatchObject({
    pid: actor.pid,
    label: 'append reply',
    whereabouts: 'alive',
  });
});

needs('/proc')('a process without a command line goes by its name', async () => {
  const { pid } = await startZombie();
  // The shell's, if it was killed before it became the other.
  expect(commandOf(pid)).toMatch(/^(sh|sleep)$/);
});

needs('/proc', 'flock(1)')('a record from before the last boot is not the holder', async () => {
  const { resource, pid } = await heldWithRecord(() => ({ boot: 'another' }));
  expect((await timeout(resource)).holder).toMatchObject({ pid, label: null });
});

const readings = `
  const fs = process.getBuiltinModule('node:fs');
  const { readFileSync } = fs;
  let count = 0;
  fs.readFileSync = (path, ...rest) => {
    if (path === '/proc/locks') count += 1;
    return readFileSync(path, ...rest);
  };
  process.getBuiltinModule('node:module').syncBuiltinESMExports();
  const { lock } = await import(process.env.HOLDFAST_ENTRY);
  for (const resource of process.argv.slice(-2)) {
    for (const timeout of [0, 1]) await lock(resource, { timeout }).catch(() => console.log(count));
  }
`;

needs('built-in modules that can be patched', '/proc')(
  'the kernel is asked for a name only after a wait, and only where no record tells it',
  async () => {
    const [recorded, unrecorded] = [temporaryResource(), temporaryResource()];
    using _ = tryLock(recorded);
    using __ = tryLock(unrecorded, { record: false });
    const { stdout } = await startModule(readings, recorded, unrecorded).ended;
    expect(stdout).toBe('0\n0\n0\n1\n');
  },
);

const look = `
  const { lock } = await import(process.env.HOLDFAST_ENTRY);
  await lock(process.argv[2], { timeout: 1 }).catch(({ message }) => console.log(message));
`;

async function messageUnder(unshare: string[], before: string, resource: string) {
  const entry = new URL('../dist/index.js', import.meta.url).href;
  const command = `${before}; exec "$@"`;
  const words = ['sh', '-c', command, 'sh', ...moduleCommand(look), resource];
  const env = { ...process.env, HOLDFAST_ENTRY: entry };
  return (await start('unshare', [...unshare, ...words], { env }).ended).stdout;
}

needs('the right to mount')(
  'a timeout says that the holder is in another pid namespace',
  async () => {
    const resource = temporaryResource();
    using _ = tryLock(resource);
    const message = await messageUnder(['-m', '-p', '-f', '--mount-proc'], 'true', resource);
    expect(message).toContain(`by pid ${process.pid} on host`);
    expect(message).toContain('(another host or pid namespace)');
  },
);

needs('the right to mount')('a timeout without /proc/locks reads the record', async () => {
  const resource = temporaryResource();
  using _ = tryLock(resource, { label: 'append reply' });
  const message = await messageUnder(['-m'], 'mount --bind /dev/null /proc/locks', resource);
  expect(message).toMatch(/held for \d+\.\d s by pid \d+ on host \S+ \("append reply"\)\n$/);
});

needs('the right to mount', 'flock(1)')(
  'without /proc/locks a holder that left no record is nobody in particular',
  async () => {
    const { resource } = await heldWithRecord(({ start }) => ({ start: start - 1 }));
    const message = await messageUnder(['-m'], 'mount --bind /dev/null /proc/locks', resource);
    expect(message).toMatch(/: held by a program that leaves no record\n$/);
  },
);
