import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { flock, heldLocks, lock, lockSync, releaseAll, tryLock, withLock } from 'holdfast';
import { afterEach, describe, expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryFolder, temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';

type Options = Parameters<typeof lock>[1];

const noop = () => {};

/** The same through every function that takes a lock; each must say the same. */
async function failures(resource: unknown, options?: Options): Promise<NodeJS.ErrnoException[]> {
  const calls = [
    async () => tryLock(resource as string, options),
    async () => lockSync(resource as string, options),
    () => lock(resource as string, options),
    () => withLock(resource as string, options ?? {}, noop),
  ];
  return Promise.all(
    calls.map((call) =>
      call().then(
        () => {
          throw new Error('it was accepted');
        },
        (error: NodeJS.ErrnoException) => error,
      ),
    ),
  );
}

afterEach(() => {
  expect(heldLocks()).toEqual([]);
});

describe('a resource', () => {
  test.each([
    ['a number', 7],
    ['null', null],
    ['nothing', undefined],
    ['a Buffer', Buffer.from('resource')],
    ['an object', { path: 'resource' }],
    ['a symbol', Symbol('resource')],
    ['an empty string', ''],
    ['a string with a NUL byte', 'a\0b'],
    ['a URL with a NUL byte', new URL('file:///a%00b')],
  ])('must not be %s', async (_, resource) => {
    for (const error of await failures(resource)) {
      expect(error).toBeInstanceOf(TypeError);
      expect(error.code).toBe('ERR_INVALID_ARG_VALUE');
      expect(error.message).toMatch(/^resource must be a path/);
    }
  });

  test('must not be a URL of something else than a file', async () => {
    for (const error of await failures(new URL('https://example.org/resource'))) {
      expect(error).toBeInstanceOf(TypeError);
      expect(error.code).toBe('ERR_INVALID_URL_SCHEME');
    }
  });
});

describe('an option', () => {
  test.each([
    ['timeout', -1],
    ['timeout', Number.NaN],
    ['timeout', '1000'],
    ['timeout', null],
    ['lease', 0],
    ['lease', -1],
    ['lease', Number.NaN],
    ['leakCheck', 0],
    ['mode', 'write'],
    ['mode', null],
    ['signal', {}],
    ['label', 7],
    ['lockPath', ''],
    ['lockPath', 7],
    ['fileMode', 0o1000],
    ['fileMode', -1],
    ['fileMode', '600'],
    ['record', 'no'],
    ['reentrant', 1],
    ['minToken', 1],
    ['minToken', -1n],
    ['minToken', 2n ** 64n],
  ])('%s must not be %s', async (name, value) => {
    const resource = temporaryResource();
    for (const error of await failures(resource, { [name]: value } as Options)) {
      expect(error).toBeInstanceOf(TypeError);
      expect(error.code).toBe('ERR_INVALID_ARG_VALUE');
      expect(error.message).toMatch(new RegExp(`^${name} must be `));
    }
    expect(existsSync(`${resource}.flock`)).toBe(false);
  });

  test('lockPath must not have a NUL byte', async () => {
    for (const error of await failures(temporaryResource(), { lockPath: 'a\0b' })) {
      expect(error.code).toBe('ERR_INVALID_ARG_VALUE');
      expect(error.message).toMatch(/^lockPath must be a path without NUL bytes/);
    }
  });

  test('must not come instead of the options', async () => {
    for (const error of await failures(temporaryResource(), 'shared' as unknown as Options)) {
      expect(error.code).toBe('ERR_INVALID_ARG_VALUE');
    }
  });

  test('signal that was aborted before lets nothing begin', async () => {
    const resource = temporaryResource();
    const signal = AbortSignal.abort(new Error('not today'));
    await expect(lock(resource, { signal })).rejects.toThrow('not today');
    let ran = false;
    const running = withLock(resource, { signal }, () => {
      ran = true;
    });
    await expect(running).rejects.toThrow('not today');
    expect(ran).toBe(false);
    expect(existsSync(`${resource}.flock`)).toBe(false);
  });

  test('may be missing, but not the function of withLock', async () => {
    const resource = temporaryResource();
    const call = withLock as unknown as (...args: unknown[]) => Promise<void>;
    await expect(call(resource)).rejects.toThrow('fn must be a function');
    await expect(call(resource, {})).rejects.toThrow('fn must be a function');
  });
});

describe('at the lock path,', () => {
  test('a folder is EISDIR', async () => {
    const resource = temporaryResource();
    mkdirSync(`${resource}.flock`);
    for (const error of await failures(resource)) {
      expect(error).toMatchObject({
        code: 'EISDIR',
        errno: -constants.errno.EISDIR,
        syscall: 'open',
        path: `${resource}.flock`,
      });
    }
  });

  test('a missing folder is ENOENT, and the message says what to do', async () => {
    const resource = join(temporaryFolder(), 'missing', 'resource');
    for (const error of await failures(resource)) {
      expect(error).toMatchObject({ code: 'ENOENT', syscall: 'open', path: `${resource}.flock` });
      expect(error.message).toContain('the folder must exist');
    }
  });

  test('a file in place of the folder is ENOTDIR', async () => {
    const file = temporaryResource();
    writeFileSync(file, '');
    for (const error of await failures(join(file, 'resource'))) {
      expect(error).toMatchObject({ code: 'ENOTDIR', syscall: 'open' });
    }
  });

  test('a symbolic link is not followed', async () => {
    const resource = temporaryResource();
    writeFileSync(`${resource}.victim`, 'precious');
    try {
      symlinkSync(`${resource}.victim`, `${resource}.flock`);
    } catch (error) {
      console.log(`skipping: no symbolic link can be made here: ${error}`);
      return;
    }
    for (const error of await failures(resource)) {
      expect(error).toMatchObject({ code: 'ELOOP', path: `${resource}.flock` });
      expect(error.message).toContain('symbolic link');
    }
    expect(readFileSync(`${resource}.victim`, 'utf8')).toBe('precious');
  });

  needs('mkfifo')('a FIFO neither blocks nor is locked', async () => {
    const resource = temporaryResource();
    expect(spawnSync('mkfifo', [`${resource}.flock`]).status).toBe(0);
    for (const error of await failures(resource)) {
      expect(error).toMatchObject({ code: 'ERR_LOCK_NOT_REGULAR', lockPath: `${resource}.flock` });
    }
    expect(lstatSync(`${resource}.flock`).isFIFO()).toBe(true);
  });

  test('a file with other content is left as it is', async () => {
    const resource = temporaryResource();
    writeFileSync(`${resource}.flock`, 'precious');
    for (const error of await failures(resource)) {
      expect(error).toMatchObject({ code: 'ERR_LOCK_FOREIGN_FILE' });
      expect(error.message).toContain('record to false');
    }
    using held = tryLock(resource, { record: false });
    expect(held?.held).toBe(true);
    expect(readFileSync(`${resource}.flock`, 'utf8')).toBe('precious');
  });

  test('a name that is too long is ENAMETOOLONG', async () => {
    const resource = join(temporaryFolder(), 'x'.repeat(300));
    for (const error of await failures(resource)) {
      expect(['ENAMETOOLONG', 'ENOENT', 'EINVAL']).toContain(error.code);
      expect(error.path).toBe(`${resource}.flock`);
    }
  });
});

describe('without permission', () => {
  const nobody = { uid: 65534, gid: 65534 };

  const attempt = (actor: Actor, resource: string, mode: 'shared' | 'exclusive') =>
    actor.run(
      ({ holdfast }, resource, mode) => {
        const held = holdfast.tryLock(resource, { mode, record: mode === 'exclusive' });
        held?.release();
        return held !== null;
      },
      resource,
      mode,
    );

  needs('root')('to create the lock file, it is EACCES', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const actor = await Actor.start(nobody);
    await expect(attempt(actor, join(folder, 'resource'), 'exclusive')).rejects.toMatchObject({
      code: 'EACCES',
      syscall: 'open',
    });
  });

  needs('root')('to open the lock file of somebody else, nobody can hold it', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o777);
    const resource = join(folder, 'resource');
    tryLock(resource)?.release();
    const actor = await Actor.start(nobody);
    for (const mode of ['exclusive', 'shared'] as const) {
      await expect(attempt(actor, resource, mode)).rejects.toMatchObject({ code: 'EACCES' });
    }
  });

  needs('root')('to write, a shared lock is granted and an exclusive one is not', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const resource = join(folder, 'resource');
    tryLock(resource, { fileMode: 0o644 })?.release();
    const actor = await Actor.start(nobody);
    await expect(attempt(actor, resource, 'shared')).resolves.toBe(true);
    await expect(attempt(actor, resource, 'exclusive')).rejects.toMatchObject({ code: 'EACCES' });
    using held = tryLock(resource);
    expect(held?.held).toBe(true);
    await expect(attempt(actor, resource, 'shared')).resolves.toBe(false);
  });
});

needs('root', 'the right to mount')(
  'on a read-only file system an existing lock file can be shared, and nothing else',
  async () => {
    const folder = temporaryFolder();
    const mount = (...args: string[]) => spawnSync('mount', args).status;
    expect(mount('-t', 'tmpfs', 'none', folder)).toBe(0);
    try {
      const resource = join(folder, 'resource');
      tryLock(resource)?.release();
      expect(mount('-o', 'remount,ro', folder)).toBe(0);
      for (const error of await failures(resource)) expect(error.code).toBe('EROFS');
      for (const error of await failures(`${resource}2`, { mode: 'shared' })) {
        expect(error.code).toBe('EROFS');
      }
      tryLock(resource, { mode: 'shared' })?.release();
      using held = await lock(resource, { mode: 'shared' });
      expect(held.held).toBe(true);
    } finally {
      releaseAll();
      spawnSync('umount', [folder]);
    }
  },
);

describe('release', () => {
  test('twice is release once, even when the number was reused meanwhile', () => {
    const resource = temporaryResource();
    const first = tryLock(resource);
    first?.release();
    using second = tryLock(resource);
    first?.release();
    expect(second?.held).toBe(true);
    expect(first?.held).toBe(false);
  });

  test('after releaseAll does nothing, and leaves the next lock alone', () => {
    const resource = temporaryResource();
    const first = lockSync(resource);
    expect(releaseAll()).toBe(1);
    using second = tryLock(resource);
    first.release();
    expect(second?.held).toBe(true);
    expect(() => first.assertHeld()).toThrow('releaseAll() took the lock');
  });
});

describe('flock', () => {
  test('on a closed descriptor is EBADF', () => {
    const fd = openSync(temporaryResource(), 'w');
    closeSync(fd);
    for (const mode of ['exclusive', 'shared', 'unlock'] as const) {
      expect(() => flock(fd, mode)).toThrow(
        expect.objectContaining({ code: 'EBADF', syscall: 'flock' }),
      );
    }
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 31, '3', null, undefined])(
    'refuses %s for a descriptor',
    (fd) => {
      expect(() => flock(fd as number, 'shared')).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', name: 'TypeError' }),
      );
    },
  );

  test.each(['write', '', null, undefined, 'toString'])('refuses the mode %s', (mode) => {
    const fd = openSync(temporaryResource(), 'w');
    expect(() => flock(fd, mode as 'shared')).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', name: 'TypeError' }),
    );
    closeSync(fd);
  });
});
