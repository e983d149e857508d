import { closeSync, existsSync, openSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { flock, heldLocks, inspect, lock, lockSync, releaseAll, tryLock, withLock } from 'holdfast';
import { afterEach, describe, expect, test } from 'vitest';
import { failures, type Options } from './helpers/failures.js';
import { temporaryResource } from './helpers/folder.js';

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
    ['an object that cannot be converted to a string', Object.create(null)],
    ['an empty string', ''],
    ['a string with a NUL byte', 'a\0b'],
    ['a URL with a NUL byte', new URL(`${pathToFileURL('a')}%00b`)],
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
    ['signal', Object.create(null)],
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

  // Else a misspelled timeout is a wait without end, and one of another package, too.
  test.each(['timout', 'Lease', 'retries', 'stale'])('%s is none', async (name) => {
    const resource = temporaryResource();
    const options = { [name]: 1_000 } as Options;
    for (const error of [
      ...(await failures(resource, options)),
      await inspect(resource, options as object).catch((error) => error),
    ]) {
      expect(error).toBeInstanceOf(TypeError);
      expect(error.code).toBe('ERR_INVALID_ARG_VALUE');
      expect(error.message).toMatch(new RegExp(`^there is no option ${name}: there are mode, `));
    }
    expect(existsSync(`${resource}.flock`)).toBe(false);
  });

  test('that is none may be there if it is undefined', () => {
    const options = { mode: 'shared', retries: undefined } as Options;
    using held = tryLock(temporaryResource(), options);
    expect(held?.mode).toBe('shared');
  });

  test('that is none is named without what would steer a terminal', () => {
    const options = { '\u001b[2J': 1 } as Options;
    expect(() => tryLock(temporaryResource(), options)).toThrow('no option \ufffd[2J:');
  });

  test.each(['shared', []])('must not come instead of the options: %j', async (options) => {
    for (const error of await failures(temporaryResource(), options as unknown as Options)) {
      expect(error.code).toBe('ERR_INVALID_ARG_VALUE');
      expect(error.message).toMatch(/^options must be an object/);
    }
  });

  // Type-checked with exactOptionalPropertyTypes: what a program passes on need not be there.
  test('that is undefined is its default', async () => {
    const resource = temporaryResource();
    const nothing = {
      mode: undefined,
      timeout: undefined,
      signal: undefined,
      lease: undefined,
      leakCheck: undefined,
      label: undefined,
      lockPath: undefined,
      fileMode: undefined,
      record: undefined,
      minToken: undefined,
      captureStack: undefined,
      reentrant: undefined,
    };
    using held = await lock(resource, nothing);
    expect(held).toMatchObject({ lockPath: `${resource}.flock`, mode: 'exclusive', token: 1n });
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
