import { chmodSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from 'holdfast';
import { describe, expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { faults } from './helpers/faults.js';
import { temporaryFolder, temporaryResource } from './helpers/folder.js';
import { isFree } from './helpers/is-free.js';
import { needs } from './helpers/needs.js';

describe('the permissions of a new lock file', () => {
  const created = async (
    options: { fileMode?: number } | undefined,
    umask: number,
  ): Promise<number> => {
    const resource = temporaryResource();
    const actor = await Actor.start();
    await actor.run(
      ({ holdfast }, resource, options, umask) => {
        process.umask(umask);
        holdfast.tryLock(resource, options ?? undefined)?.release();
      },
      resource,
      options ?? null,
      umask,
    );
    return statSync(`${resource}.flock`).mode & 0o777;
  };

  needs('POSIX permissions').each([
    [undefined, 0o022, 0o600],
    [undefined, 0o000, 0o600],
    [{}, 0o022, 0o600],
    [{}, 0o000, 0o600],
    [{}, 0o777, 0o600],
    [{ fileMode: 0o664 }, 0o077, 0o664],
    [{ fileMode: 0o640 }, 0o777, 0o640],
    [{ fileMode: 0o666 }, 0o022, 0o666],
    [{ fileMode: 0o400 }, 0o000, 0o400],
  ])('with options %o and a umask of %o are %o', async (options, umask, expected) => {
    expect(await created(options, umask)).toBe(expected);
  });

  needs('POSIX permissions')('of one that is there are left alone', () => {
    const resource = temporaryResource();
    tryLock(resource, { fileMode: 0o640 })?.release();
    tryLock(resource, { fileMode: 0o600 })?.release();
    expect(statSync(`${resource}.flock`).mode & 0o777).toBe(0o640);
  });
});

describe('in a sticky world-writable folder', () => {
  function sharedFolder(): string {
    const folder = temporaryFolder();
    chmodSync(folder, 0o1777);
    return folder;
  }

  // fs.protected_regular refuses O_CREAT on the file of somebody else there, even to root.
  needs('faults by LD_PRELOAD')('an existing lock file is opened without O_CREAT', async () => {
    const resource = join(sharedFolder(), 'resource');
    tryLock(resource)?.release();
    const actor = await Actor.start({ env: { ...faults, FAULT_STICKY: '1' } });
    await expect(isFree(actor, resource)).resolves.toBe(true);
  });

  needs('root')('users share a lock file that one of them opened to all', async () => {
    const resource = join(sharedFolder(), 'resource');
    const actor = await Actor.start({ uid: 65534, gid: 65534 });
    await actor.run(({ holdfast, kept }, resource) => {
      kept['lock'] = holdfast.tryLock(resource, { fileMode: 0o666 });
    }, resource);
    expect(tryLock(resource)).toBeNull();
    await actor.run(({ kept }) => kept['lock'].release());
    using held = tryLock(resource);
    expect(held?.held).toBe(true);
    await expect(isFree(actor, resource)).resolves.toBe(false);
  });
});
