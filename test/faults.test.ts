import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { inspect, lock, tryLock } from 'holdfast';
import { describe, expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { descriptorsOf } from './helpers/descriptors.js';
import { faultyActor, setFault } from './helpers/faulty-actor.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { refuse } from './helpers/refusals.js';
import { letGo, take } from './helpers/take.js';

const { errno } = constants;

describe.each(['ENOLCK', 'ENOTSUP', 'ENOSYS'] as const)('a file system that says %s', (code) => {
  needs('faults by LD_PRELOAD').each(['lock', 'tryLock', 'lockSync'] as const)(
    'makes %s fail with that and its name, never succeed',
    async (how) => {
      const resource = temporaryResource();
      const actor = await faultyActor();
      await setFault(actor, 'LOCK', errno[code]);
      await expect(take(actor, resource, how)).rejects.toMatchObject({
        code,
        errno: -errno[code],
        syscall: 'flock',
        path: `${resource}.flock`,
        message: expect.stringMatching(/this file system, \S+, does not keep locks: set lockPath/),
      });
      await setFault(actor, 'LOCK', 0);
      await expect(take(actor, resource, how)).resolves.toBe(true);
    },
  );
});

needs('faults by LD_PRELOAD')('flock() blames no file system for a mere descriptor', async () => {
  const resource = temporaryResource();
  const actor = await faultyActor();
  await setFault(actor, 'LOCK', errno.ENOLCK);
  const locking = actor.run(({ holdfast }, path) => {
    const { openSync } = process.getBuiltinModule('node:fs');
    return holdfast.flock(openSync(path, 'w'), 'exclusive');
  }, resource);
  await expect(locking).rejects.toMatchObject({ message: 'ENOLCK: no locks available, flock' });
});

// The SMB client of Linux says so of a lock that is held elsewhere, and a policy of one that may not be asked for.
describe('a lock that is refused with EACCES', () => {
  needs('faults by LD_PRELOAD', '/proc')('is held elsewhere', async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    await setFault(actor, 'LOCK', errno.EACCES);
    await expect(take(actor, resource, 'tryLock')).resolves.toBeNull();
    const flocked = actor.run(({ holdfast }, path) => {
      const { openSync } = process.getBuiltinModule('node:fs');
      return holdfast.flock(openSync(path, 'w'), 'exclusive');
    }, temporaryResource());
    await expect(flocked).resolves.toBe(false);
    await setFault(actor, 'STATFS', 0xfe534d42);
    const attempt = actor.run(
      ({ holdfast }, path) => holdfast.lock(path, { timeout: 0 }),
      resource,
    );
    await expect(attempt).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
    await expect(actor.run(descriptorsOf, resource)).resolves.toBe(0);
  });

  needs('faults by LD_PRELOAD')('is an error where it could not be let go either', async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    await setFault(actor, 'LOCK', errno.EACCES);
    await setFault(actor, 'UNLOCK', errno.EACCES);
    const attempt = take(actor, resource, 'tryLock');
    await expect(attempt).rejects.toMatchObject({ code: 'EACCES', syscall: 'flock' });
  });
});

describe('a lock file that somebody is about to delete', () => {
  needs('faults by LD_PRELOAD', '/proc')(
    'is contended until its name is gone, or stays after all',
    async () => {
      const resource = temporaryResource();
      const actor = await faultyActor();
      await setFault(actor, 'UNLINKED', 1);
      await expect(take(actor, resource, 'tryLock')).resolves.toBeNull();
      for (const how of ['lock', 'lockSync'] as const) {
        const attempt = actor.run(
          async ({ holdfast }, resource, how) => {
            const held = await holdfast[how](resource, { timeout: 50 });
            return held.held;
          },
          resource,
          how,
        );
        await expect(attempt).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
      }
      const granted = take(actor, resource, 'lock');
      await setFault(actor, 'UNLINKED', 0);
      await expect(granted).resolves.toBe(true);
      await letGo(actor);
      await expect(actor.run(descriptorsOf, resource)).resolves.toBe(0);
    },
  );
});

describe('no thread to wait in', () => {
  needs('faults by LD_PRELOAD').each(['lock', 'lockSync'] as const)(
    'is EAGAIN from %s, and the next wait succeeds',
    async (how) => {
      const resource = temporaryResource();
      const held = await lock(resource);
      const actor = await faultyActor();
      await setFault(actor, 'THREAD', errno.EAGAIN);
      await expect(take(actor, resource, how)).rejects.toMatchObject({
        code: 'EAGAIN',
        syscall: 'pthread_create',
        message: expect.stringContaining('no thread to wait in'),
      });
      await expect(actor.run(descriptorsOf, resource)).resolves.toBe(0);
      await setFault(actor, 'THREAD', 0);
      const granted = take(actor, resource, how);
      await untilBlocked(`${resource}.flock`, 1);
      held.release();
      await expect(granted).resolves.toBe(true);
    },
  );
});

needs('faults by LD_PRELOAD')(
  'without a thread to watch a lease there is no lock, and none begins in one that is held',
  async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    await setFault(actor, 'THREAD', errno.EAGAIN);
    const outcome = await actor.run(({ holdfast, kept }, resource) => {
      const codeOf = (body: () => unknown) => {
        try {
          body();
          return 'none';
        } catch (error) {
          return (error as NodeJS.ErrnoException).code;
        }
      };
      const code = codeOf(() => holdfast.tryLock(resource, { lease: 60_000 }));
      kept['lock'] = holdfast.tryLock(resource);
      return [code, codeOf(() => kept['lock'].renew(60_000)), kept['lock'].held];
    }, resource);
    expect(outcome).toEqual(['EAGAIN', 'EAGAIN', true]);
    expect(tryLock(resource)).toBeNull();
    await setFault(actor, 'THREAD', 0);
    await actor.run(({ kept }) => kept['lock'].renew(1));
    using next = await lock(resource);
    expect(next.previousHolder?.pid).toBe(actor.pid);
  },
);

needs('built-in modules that can be patched').each([
  ['opened', 'openSync', 'EMFILE', null],
  ['closed', 'closeSync', 'EIO', 'append reply'],
] as const)(
  'a timeout is told although the file that names the holder cannot be %s',
  async (_, call, code, label) => {
    const resource = temporaryResource();
    const actor = await Actor.start();
    await actor.run(({ holdfast, kept }, resource) => {
      kept['lock'] = holdfast.tryLock(resource, { label: 'append reply' });
    }, resource);
    refuse(call, `${resource}.flock`, code);
    const waiting = lock(resource, { timeout: 50 });
    await expect(waiting).rejects.toMatchObject({
      code: 'ERR_LOCK_TIMEOUT',
      holder: label === null ? null : { pid: actor.pid, label },
    });
  },
);

needs('faults by LD_PRELOAD')('a full disk is ENOSPC, and nothing stays locked', async () => {
  const resource = temporaryResource();
  const actor = await faultyActor();
  await setFault(actor, 'WRITE', errno.ENOSPC);
  await expect(take(actor, resource, 'lock')).rejects.toMatchObject({
    code: 'ENOSPC',
    syscall: 'pwrite',
    path: `${resource}.flock`,
    message: expect.stringContaining('free some space'),
  });
  using held = tryLock(resource);
  expect(held?.held).toBe(true);
});

// Kernels before 4.11 do not have it, and older lists of what a container may call do not know it.
needs('faults by LD_PRELOAD', 'mkfifo').each(['ENOSYS', 'EPERM'] as const)(
  'where statx is %s, locks exclude, and a deleted lock file is seen',
  async (code) => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    await setFault(actor, 'STATX', errno[code]);
    await take(actor, resource, 'lock');
    expect(tryLock(resource)).toBeNull();
    const { state, holder } = await inspect(resource);
    expect([state, holder?.pid]).toEqual(['exclusive', actor.pid]);
    const next = actor.run(async ({ holdfast, kept }, resource) => {
      const next = holdfast.lock(resource);
      process.getBuiltinModule('node:fs').rmSync(kept['lock'].lockPath);
      kept['lock'].release();
      kept['lock'] = await next;
      return kept['lock'].held;
    }, resource);
    await expect(next).resolves.toBe(true);
    expect(tryLock(resource)).toBeNull();
    expect(spawnSync('mkfifo', [`${resource}-2.flock`]).status).toBe(0);
    const planted = take(actor, `${resource}-2`, 'tryLock');
    await expect(planted).rejects.toMatchObject({ code: 'ERR_LOCK_NOT_REGULAR' });
  },
);

needs('sh', '/proc')('no descriptor left is EMFILE, and nothing is lost', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start({
    execPath: 'sh',
    execArgv: ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath],
  });
  const outcome = await actor.run(async ({ holdfast, kept }, resource) => {
    kept['locks'] = [];
    const codes: string[] = [];
    for (const how of ['lock', 'lockSync', 'tryLock'] as const) {
      try {
        for (let index = 0; index < 100; index += 1) {
          kept['locks'].push(await holdfast[how](`${resource}-${how}-${index}`));
        }
      } catch (error) {
        const { code, syscall, message } = error as NodeJS.ErrnoException;
        codes.push(`${code} ${syscall} ${message.includes('release locks')}`);
      }
    }
    const held = holdfast.heldLocks().length === kept['locks'].length;
    // A queue of tasks on a lock of this process needs no descriptor.
    const [first] = kept['locks'];
    const queued = holdfast.lock(first.resource).then(
      () => 'granted',
      ({ code }) => code,
    );
    first.release();
    return { codes, held, queued: await queued };
  }, resource);
  expect(outcome.codes).toEqual(Array(3).fill('EMFILE open true'));
  expect(outcome.held).toBe(true);
});

// The number of what was closed is the next one to be given out.
needs('faults by LD_PRELOAD')('a refused fileMode closes no descriptor twice', async () => {
  const resource = temporaryResource();
  const actor = await faultyActor();
  await setFault(actor, 'MODE', errno.EPERM);
  const outcome = await actor.run(async ({ holdfast }, resource) => {
    const { fstatSync, openSync } = process.getBuiltinModule('node:fs');
    const codeOf = ({ code }: NodeJS.ErrnoException) => code;
    const refused = await holdfast.lock(resource, { fileMode: 0o644 }).catch(codeOf);
    const opened = openSync('/dev/null', 'r');
    // With the same handle.
    try {
      holdfast.tryLock(`${resource}/none`);
    } catch {}
    return { refused, open: fstatSync(opened).isCharacterDevice() };
  }, resource);
  expect(outcome).toEqual({ refused: 'EPERM', open: true });
});

// A lock that becomes another kind of lock is given up in between (flock(2)).
needs('faults by LD_PRELOAD', '/proc')(
  'a reader that takes over from a writer has the token of who had the lock in between',
  async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    await actor.run(({ holdfast, kept }, resource) => {
      kept['writer'] = holdfast.lockSync(resource);
      kept['reader'] = holdfast.lock(resource, { mode: 'shared' });
    }, resource);
    const between = lock(resource).then((held) => held.release());
    await untilBlocked(`${resource}.flock`, 1);
    await setFault(actor, 'UNLOCK_MS', 300);
    await actor.run(({ kept }) => kept['writer'].release());
    await between;
    const token = actor.run(async ({ kept }) => String((await kept['reader']).token));
    await expect(token).resolves.toBe('2');
  },
);
