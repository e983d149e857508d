import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { tryLock } from 'holdfast';
import { expect } from 'vitest';
import { untilBlocked } from './helpers/blocked.js';
import { faultyActor, setFault } from './helpers/faulty-actor.js';
import { temporaryFolder, temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { take } from './helpers/take.js';

// What a file server changes in how a lock is taken; test/file-server.test.ts has a real one.

const { errno } = constants;
const nfs = 0x6969;
const smb = 0xfe534d42;

needs('faults by LD_PRELOAD').each(['lock', 'tryLock', 'lockSync'] as const)(
  'a record that does not reach the file server ends %s with the error, and nothing stays locked',
  async (how) => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    await setFault(actor, 'STATFS', nfs);
    await setFault(actor, 'FLUSH', errno.EDQUOT);
    await expect(take(actor, resource, how)).rejects.toMatchObject({
      code: 'EDQUOT',
      syscall: 'fsync',
      path: `${resource}.flock`,
    });
    using held = tryLock(resource);
    expect(held?.held).toBe(true);
  },
);

needs('faults by LD_PRELOAD')('a local file system is not waited for', async () => {
  const actor = await faultyActor();
  await setFault(actor, 'FLUSH', errno.EIO);
  await expect(take(actor, temporaryResource(), 'lock')).resolves.toBe(true);
});

needs('faults by LD_PRELOAD').each(['lock', 'tryLock', 'lockSync'] as const)(
  'the SMB client of Linux, which loses locks, is refused by %s',
  async (how) => {
    const actor = await faultyActor();
    await setFault(actor, 'STATFS', smb);
    await expect(take(actor, temporaryResource(), how)).rejects.toMatchObject({
      code: 'ENOTSUP',
      syscall: 'flock',
      message: expect.stringContaining(
        'SMB, does not keep locks: set lockPath to a file on a local',
      ),
    });
  },
);

/** The kinds of locks on a file that the kernel knows of, held or waited for. */
const kindsOfLocks = (lockPath: string) =>
  new Set(
    readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .filter((line) => line.includes(`:${statSync(lockPath).ino} `))
      .map((line) => /FLOCK|OFDLCK|POSIX/.exec(line)?.[0]),
  );

needs('faults by LD_PRELOAD', '/proc')(
  'no queue is kept with record locks where they and flock are one',
  async () => {
    for (const [type, kinds] of [
      [nfs, ['FLOCK']],
      [0, ['FLOCK', 'OFDLCK']],
    ] as const) {
      const resource = temporaryResource();
      const actor = await faultyActor();
      await setFault(actor, 'STATFS', type);
      const held = tryLock(resource);
      const waiting = take(actor, resource, 'lock');
      await untilBlocked(`${resource}.flock`, 1);
      expect([...kindsOfLocks(`${resource}.flock`)].sort()).toEqual(kinds);
      held?.release();
      await expect(waiting).resolves.toBe(true);
      expect([...kindsOfLocks(`${resource}.flock`)]).toEqual(['FLOCK']);
    }
  },
);

needs('faults by LD_PRELOAD')('a folder that is made later is looked at then', async () => {
  const folder = join(temporaryFolder(), 'later');
  const resource = join(folder, 'resource');
  const actor = await faultyActor();
  await expect(take(actor, resource, 'tryLock')).rejects.toMatchObject({ code: 'ENOENT' });
  mkdirSync(folder);
  await setFault(actor, 'STATFS', smb);
  await expect(take(actor, resource, 'tryLock')).rejects.toMatchObject({ code: 'ENOTSUP' });
});
