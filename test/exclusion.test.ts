import { lock, lockSync, tryLock } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';
import { patience } from './helpers/slowness.js';

type Mode = 'exclusive' | 'shared';

const pairs: [Mode, Mode, boolean][] = [
  ['exclusive', 'exclusive', false],
  ['exclusive', 'shared', false],
  ['shared', 'exclusive', false],
  ['shared', 'shared', true],
];

describe.each(pairs)(
  'while one process holds %s, another one that wants %s',
  (held, wanted, granted) => {
    const outcome = granted ? 'gets it' : 'does not get it';
    const timeout = granted ? patience : 50;

    test(`${outcome} with tryLock`, async () => {
      const resource = temporaryResource();
      using _ = tryLock(resource, { mode: held });
      const actor = await Actor.start();
      const got = await actor.run(
        ({ holdfast }, path, mode) => holdfast.tryLock(path, { mode }) !== null,
        resource,
        wanted,
      );
      expect(got).toBe(granted);
    });

    test(`${outcome} with lockSync`, async () => {
      const resource = temporaryResource();
      using _ = lockSync(resource, { mode: held });
      const actor = await Actor.start();
      const attempt = actor.run(
        ({ holdfast }, path, mode, timeout) => holdfast.lockSync(path, { mode, timeout }).held,
        resource,
        wanted,
        timeout,
      );
      if (granted) await expect(attempt).resolves.toBe(true);
      else await expect(attempt).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
    });

    test(`${outcome} with lock`, async () => {
      const resource = temporaryResource();
      await using _ = await lock(resource, { mode: held });
      const actor = await Actor.start();
      const attempt = actor.run(
        async ({ holdfast }, path, mode, timeout) =>
          (await holdfast.lock(path, { mode, timeout })).held,
        resource,
        wanted,
        timeout,
      );
      if (granted) await expect(attempt).resolves.toBe(true);
      else await expect(attempt).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
    });
  },
);

test('a released lock is free for another process', async () => {
  const resource = temporaryResource();
  const held = tryLock(resource);
  const actor = await Actor.start();
  const attempt = () =>
    actor.run(({ holdfast }, path) => {
      const lock = holdfast.tryLock(path);
      lock?.release();
      return lock !== null;
    }, resource);
  await expect(attempt()).resolves.toBe(false);
  held?.release();
  await expect(attempt()).resolves.toBe(true);
});
