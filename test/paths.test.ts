import { spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative, sep, toNamespacedPath } from 'node:path';
import { pathToFileURL } from 'node:url';
import { lock, tryLock, withLock } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { linkedPathTo, temporaryFolder, temporaryResource } from './helpers/folder.js';
import { isFree } from './helpers/is-free.js';
import { needs } from './helpers/needs.js';

/** Tasks that ask under either name of the file wait for its holder, and get it in their order. */
async function expectSameLock(resource: string, spelling: string | URL): Promise<void> {
  const held = await lock(resource);
  expect(tryLock(spelling)).toBeNull();
  const order: number[] = [];
  const tasks = [spelling, resource, spelling, resource].map((name, number) =>
    withLock(name, async () => {
      expect([tryLock(resource), tryLock(spelling)]).toEqual([null, null]);
      order.push(number);
      await new Promise(setImmediate);
    }),
  );
  held.release();
  await Promise.all(tasks);
  expect(order).toEqual([0, 1, 2, 3]);
}

// The lock file stands beside the link, whatever that leads to.
needs('symbolic links')('a linked folder and the folder itself are two locks', () => {
  const resource = temporaryResource();
  mkdirSync(resource);
  symlinkSync(resource, `${resource}-link`, 'junction');
  using held = tryLock(resource);
  using other = tryLock(`${resource}-link/`);
  expect(held?.held).toBe(true);
  expect(other?.lockPath).toBe(`${resource}-link.flock`);
});

describe('the same lock is meant by', () => {
  test('a relative path', async () => {
    const resource = temporaryResource();
    await expectSameLock(resource, relative(process.cwd(), resource));
  });

  test('a path with detours', async () => {
    const resource = temporaryResource();
    const folder = dirname(resource);
    await expectSameLock(resource, `${folder}/../${basename(folder)}/./resource`);
  });

  test.each(['/', '/.', '/sub/..'])('the path of a folder with %s at its end', async (end) => {
    const folder = join(temporaryFolder(), 'resource');
    await expectSameLock(folder, folder + end);
  });

  test('a file URL, also with escaped characters', async () => {
    const resource = join(temporaryFolder(), 'a b%c#d');
    await expectSameLock(resource, pathToFileURL(resource));
  });

  test('a path with a slash at its end, and the lock file stands beside the folder', async () => {
    const resource = temporaryResource();
    mkdirSync(resource);
    await expectSameLock(resource, `${resource}/`);
    expect(existsSync(`${resource}.flock`)).toBe(true);
  });

  test('a path with slashes, or one that is told to be literal (Windows)', async () => {
    const resource = temporaryResource();
    await expectSameLock(resource, resource.replaceAll(sep, '/'));
    await expectSameLock(resource, toNamespacedPath(resource));
    await expectSameLock(resource, toNamespacedPath(resource).replaceAll(sep, '/'));
  });

  needs('Windows')('a path without its drive, and one in other letters', async () => {
    const resource = temporaryResource();
    const actor = await Actor.start({ cwd: dirname(resource) });
    const drive = resource.slice(0, 2);
    using held = await lock(resource);
    expect(held.lockPath).toBe(`${resource}.flock`);
    for (const spelling of [`${drive}resource`, resource.slice(2), resource.toUpperCase()]) {
      await expect(isFree(actor, spelling)).resolves.toBe(false);
    }
    // Windows does not remove the folder that a process is in.
    await actor.run(() => process.chdir('/'));
  });

  needs('symbolic links')('a path through a linked folder', async () => {
    const resource = temporaryResource();
    await expectSameLock(resource, linkedPathTo(resource));
  });

  test('a second name of the lock file', async () => {
    const resource = temporaryResource();
    tryLock(resource)?.release();
    linkSync(`${resource}.flock`, `${resource}-2.flock`);
    await expectSameLock(resource, `${resource}-2`);
  });

  needs('the right to mount')('a path through a bind mount', async () => {
    const resource = temporaryResource();
    const bound = temporaryFolder();
    expect(spawnSync('mount', ['--bind', dirname(resource), bound]).status).toBe(0);
    try {
      await expectSameLock(resource, join(bound, 'resource'));
    } finally {
      spawnSync('umount', [bound]);
    }
  });
});

test('names of any script and with spaces work, and stay apart', () => {
  const folder = temporaryFolder();
  const names = ['ключ', '鍵', 'ключ 2', '🔒', "it's", 'new\nline'.replace('\n', '_')];
  const held = names.map((name) => tryLock(join(folder, name)));
  expect(held.every((lock) => lock?.held)).toBe(true);
  for (const name of names) expect(tryLock(join(folder, name))).toBeNull();
  for (const lock of held) lock?.release();
});

// Windows has room for 260 characters, unless a program asks for more ("Maximum Path Length Limitation").
test('paths of any length work', async () => {
  const folder = join(temporaryFolder(), 'n'.repeat(100), 'n'.repeat(100), 'n'.repeat(100));
  mkdirSync(folder, { recursive: true });
  const actor = await Actor.start();
  for (const length of [1, 200]) {
    const resource = join(folder, 'r'.repeat(length));
    const held = await lock(resource, { timeout: 1_000 });
    await expect(isFree(actor, resource)).resolves.toBe(false);
    const waiting = lock(resource);
    held.release();
    (await waiting).release();
    await expect(isFree(actor, resource)).resolves.toBe(true);
  }
});

test('lockPath names the lock file exactly', () => {
  const resource = temporaryResource();
  using held = tryLock(resource, { lockPath: `${resource}.other` });
  expect(held?.lockPath).toBe(`${resource}.other`);
  expect(existsSync(`${resource}.flock`)).toBe(false);
  expect(tryLock('something else', { lockPath: `${resource}.other` })).toBeNull();
});

test('a change of the working directory does not change what is waited for', async () => {
  const resource = temporaryResource();
  const held = await lock(resource);
  const actor = await Actor.start({ cwd: dirname(resource) });
  const granted = actor.run(async ({ holdfast, kept }) => {
    const waiting = holdfast.lock('resource', { timeout: 10_000 });
    process.chdir('/');
    kept['lock'] = await waiting;
    return kept['lock'].lockPath;
  });
  held.release();
  await expect(granted).resolves.toBe(`${resource}.flock`);
});

test('a resource need not exist, and is never touched', () => {
  const resource = temporaryResource();
  tryLock(resource)?.release();
  expect(existsSync(resource)).toBe(false);
  writeFileSync(resource, 'precious');
  using held = tryLock(resource);
  expect(held?.held).toBe(true);
  expect(readFileSync(resource, 'utf8')).toBe('precious');
});

// A lock on the data file itself would go along to the old inode.
test('the resource can be replaced by renaming while it is locked', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  writeFileSync(resource, 'old');
  const held = await lock(resource);
  writeFileSync(`${resource}.new`, 'new');
  renameSync(`${resource}.new`, resource);
  await expect(isFree(actor, resource)).resolves.toBe(false);
  held.release();
  await expect(isFree(actor, resource)).resolves.toBe(true);
});

test('a lock file that is there means nothing', () => {
  const resource = temporaryResource();
  writeFileSync(`${resource}.flock`, '');
  using held = tryLock(resource);
  expect(held?.held).toBe(true);
});

test('whoever does not get the lock leaves the record of its holder as it is', async () => {
  const resource = temporaryResource();
  using held = await lock(resource, { label: 'first' });
  const record = readFileSync(held.lockPath, 'utf8');
  const actor = await Actor.start();
  await expect(isFree(actor, resource)).resolves.toBe(false);
  await expect(
    actor.run(async ({ holdfast }, resource) => {
      await holdfast.lock(resource, { timeout: 20, label: 'second', fileMode: 0o644 });
    }, resource),
  ).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
  expect(readFileSync(held.lockPath, 'utf8')).toBe(record);
});

test('with record: false nothing is written', () => {
  const resource = temporaryResource();
  using held = tryLock(resource, { record: false });
  expect(held?.token).toBeUndefined();
  expect(statSync(`${resource}.flock`).size).toBe(0);
});

test('a lock file is not removed by its holder', async () => {
  const resource = temporaryResource();
  const { ino } = await lock(resource).then((held) => {
    const status = statSync(held.lockPath);
    held.release();
    return status;
  });
  expect(statSync(`${resource}.flock`).ino).toBe(ino);
  rmSync(`${resource}.flock`);
});
