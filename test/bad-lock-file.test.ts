import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { inspect, lock, releaseAll, tryLock } from 'holdfast';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { failures } from './helpers/failures.js';
import { temporaryFolder, temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { SessionHolder } from './helpers/session-holder.js';

// What opens a file there is called so by the system.
const syscall = expect.stringMatching(/^(open|CreateFile)$/);

describe('at the lock path,', () => {
  test('a folder is EISDIR, and the message says what to do', async () => {
    const resource = temporaryResource();
    mkdirSync(`${resource}.flock`);
    for (const error of await failures(resource)) {
      expect(error).toMatchObject({ code: 'EISDIR', syscall, path: `${resource}.flock` });
      expect(getSystemErrorName(error.errno ?? 0)).toBe('EISDIR');
      expect(error.message).toContain('set lockPath to a file in it');
    }
  });

  test('a missing folder is ENOENT, and the message says what to do', async () => {
    const resource = join(temporaryFolder(), 'missing', 'resource');
    for (const error of await failures(resource)) {
      expect(error).toMatchObject({ code: 'ENOENT', syscall, path: `${resource}.flock` });
      expect(error.message).toContain('the folder must exist');
    }
  });

  test('a file in place of the folder is what it is to others', async () => {
    const file = temporaryResource();
    writeFileSync(file, '');
    // ENOTDIR, on Windows ENOENT.
    const opened = await open(join(file, 'other'), 'w').catch((error) => error);
    for (const error of await failures(join(file, 'resource'))) {
      expect(error).toMatchObject({ code: opened.code, syscall });
    }
  });

  needs('symbolic links')('a symbolic link is not followed', async () => {
    const resource = temporaryResource();
    writeFileSync(`${resource}.victim`, 'precious');
    symlinkSync(`${resource}.victim`, `${resource}.flock`);
    for (const error of await failures(resource)) {
      expect(error).toMatchObject({ code: 'ELOOP', path: `${resource}.flock` });
      expect(error.message).toContain('symbolic link');
    }
    expect(readFileSync(`${resource}.victim`, 'utf8')).toBe('precious');
  });

  needs('/proc')('a socket is not locked, and the message says what to do', async () => {
    // Not any file system has sockets, nor may their paths be long.
    const resource = join(temporaryFolder('/tmp'), 'resource');
    const server = createServer().listen(`${resource}.flock`);
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    for (const error of await failures(resource)) {
      expect(error).toMatchObject({ code: 'ENXIO', path: `${resource}.flock` });
      expect(error.message).toContain('a socket cannot be locked');
    }
    const status = inspect(resource);
    await expect(status).rejects.toMatchObject({ code: 'ERR_LOCK_NOT_REGULAR' });
  });

  needs('mkfifo')('a FIFO neither blocks nor is locked', async () => {
    const resource = temporaryResource();
    expect(spawnSync('mkfifo', [`${resource}.flock`]).status).toBe(0);
    for (const error of await failures(resource)) {
      expect(error).toMatchObject({ code: 'ERR_LOCK_NOT_REGULAR', lockPath: `${resource}.flock` });
    }
    expect(lstatSync(`${resource}.flock`).isFIFO()).toBe(true);
  });

  needs('mkfifo')('a FIFO for the lock of an older program does not block either', async () => {
    const sessionFile = temporaryResource();
    expect(spawnSync('mkfifo', [`${sessionFile}.lock`]).status).toBe(0);
    const holder = await SessionHolder.start();
    const taking = holder.acquire('new', { sessionFile, legacy: true });
    await expect(taking).rejects.toThrow(`${sessionFile}.lock is not a regular file`);
    expect(lstatSync(`${sessionFile}.lock`).isFIFO()).toBe(true);
    using free = tryLock(sessionFile);
    expect(free?.held).toBe(true);
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
      if (error.code === 'ENAMETOOLONG') expect(error.message).toContain('set lockPath');
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

  // Opened for reading and writing a FIFO never blocks on Linux, for reading alone it would.
  needs('root', 'mkfifo')('a FIFO that may only be read does not block', async () => {
    const resource = temporaryResource();
    chmodSync(dirname(resource), 0o755);
    expect(spawnSync('mkfifo', ['-m', '444', `${resource}.flock`]).status).toBe(0);
    const actor = await Actor.start(nobody);
    await expect(attempt(actor, resource, 'shared')).rejects.toMatchObject({
      code: 'ERR_LOCK_NOT_REGULAR',
    });
  });

  needs('root')('to create the lock file, it is EACCES', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const actor = await Actor.start(nobody);
    await expect(attempt(actor, join(folder, 'resource'), 'exclusive')).rejects.toMatchObject({
      code: 'EACCES',
      syscall: 'open',
      message: expect.stringContaining('its folder must be writable'),
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
      for (const error of await failures(resource)) {
        expect(error.code).toBe('EROFS');
        expect(error.message).toContain('set lockPath to a file on a file system');
      }
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
