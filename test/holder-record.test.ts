import { readFileSync, writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { inspect, lock, tryLock } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';
import { craftRecord } from './helpers/record.js';

const members = {
  pid: 4242,
  start: 1,
  host: 'gw-1',
  boot: null,
  pidns: null,
  token: '7',
  since: 1_700_000_000_000,
  lease: null,
  label: null,
};

function recordOf(resource: string): string {
  return readFileSync(`${resource}.flock`, 'utf8');
}

test('the record is one padded line of JSON with a checksum', () => {
  const resource = temporaryResource();
  using _ = tryLock(resource, { label: 'naïve "quotes"', lease: 60_000 });
  const content = recordOf(resource);
  expect(Buffer.byteLength(content)).toBe(512);
  expect(content.endsWith(' \n')).toBe(true);
  const record = JSON.parse(content);
  expect(record).toMatchObject({
    holdfast: 1,
    state: 'held',
    pid: process.pid,
    token: '1',
    lease: 60_000,
    label: 'naïve "quotes"',
  });
  expect(Math.abs(record.since - Date.now())).toBeLessThan(60_000);
  const covered = /"crc":"[0-9a-f]{8}",(.*)\} *\n$/s.exec(content)?.[1] as string;
  expect(record.crc).toBe(crc32(covered).toString(16).padStart(8, '0'));
});

test('a record has nothing of the label and the lease of the lock before it', () => {
  tryLock(temporaryResource(), { label: 'before', lease: 60_000 })?.release();
  const resource = temporaryResource();
  using _ = tryLock(resource);
  expect(JSON.parse(recordOf(resource))).toMatchObject({ label: null, lease: null });
});

test('each record says when its lock was taken, however often that is', () => {
  const resource = temporaryResource();
  const began = Date.now();
  for (let asked = began; asked < began + 200; asked = Date.now()) {
    using _ = tryLock(resource);
    const { since } = JSON.parse(recordOf(resource));
    // The date is looked at once in a ms, by a clock that may tick less often than that of JavaScript.
    expect(since).toBeGreaterThan(asked - 20);
    expect(since).toBeLessThan(Date.now() + 20);
  }
});

test('a release changes nothing in the record but the state', () => {
  const resource = temporaryResource();
  const held = tryLock(resource);
  const before = recordOf(resource);
  held?.release();
  expect(recordOf(resource)).toBe(before.replace('"held"', '"free"'));
});

test.each([{ mode: 'shared' }, { record: false }] as const)(
  'whoever handed the lock over to one with %o is not taken for crashed',
  async (options) => {
    const resource = temporaryResource();
    const first = tryLock(resource);
    const next = lock(resource, options);
    first?.release();
    (await next).release();
    using last = tryLock(resource);
    expect(last).toMatchObject({ previousHolder: null, token: 2n });
  },
);

test('the token grows with each exclusive holder, and sharers carry the current one', () => {
  const resource = temporaryResource();
  for (const token of [1n, 2n, 3n]) {
    using held = tryLock(resource);
    expect(held?.token).toBe(token);
  }
  using shared = tryLock(resource, { mode: 'shared' });
  expect(shared?.token).toBe(3n);
});

test('the token starts above minToken', () => {
  const resource = temporaryResource();
  const first = tryLock(resource, { minToken: 41n });
  expect(first?.token).toBe(42n);
  first?.release();
  using second = tryLock(resource, { minToken: 5n });
  expect(second?.token).toBe(43n);
});

test.for(['abandoned', 'queued before'])(
  'a wait that was %s is granted with the label and the minToken of whoever goes on with it',
  async (how) => {
    const resource = temporaryResource();
    const holder = await Actor.start();
    await holder.run(({ holdfast, kept }, resource) => {
      kept['lock'] = holdfast.lockSync(resource);
    }, resource);
    const controller = new AbortController();
    const { signal } = controller;
    const first = lock(resource, { signal, label: 'first', minToken: 9n });
    const next = () => lock(resource, { label: 'second', minToken: 41n });
    const queued = how === 'abandoned' ? undefined : next();
    controller.abort();
    await expect(first).rejects.toThrow('abort');
    const second = queued ?? next();
    await holder.run(({ kept }) => kept['lock'].release());
    using held = await second;
    expect(held.token).toBe(42n);
    expect(recordOf(resource)).toContain('"token":"42"');
    expect(recordOf(resource)).toContain('"label":"second"');
  },
);

test('a token larger than what a number can hold is kept exactly', () => {
  const resource = temporaryResource();
  writeFileSync(`${resource}.flock`, craftRecord({ ...members, token: '9007199254740993' }));
  using held = tryLock(resource);
  expect(held?.token).toBe(9007199254740994n);
  expect(held?.previousHolder?.token).toBe(9007199254740993n);
});

test.each(['18446744073709551615', '18446744073709551616', '99999999999999999999'])(
  'a token of %s, which leaves no room for a next one, is refused and left as it is',
  (token) => {
    const resource = temporaryResource();
    const content = craftRecord({ ...members, token });
    writeFileSync(`${resource}.flock`, content);
    for (const mode of ['exclusive', 'shared'] as const) {
      expect(() => tryLock(resource, { mode })).toThrow(
        expect.objectContaining({ code: 'ERR_LOCK_FOREIGN_FILE' }),
      );
    }
    expect(recordOf(resource)).toBe(content);
  },
);

test('with record: false nothing is written, and there is no token', () => {
  const resource = temporaryResource();
  using held = tryLock(resource, { record: false });
  expect(recordOf(resource)).toBe('');
  expect(held).toMatchObject({ token: undefined, previousHolder: undefined });
});

describe.each([
  ['text', 'my precious data\n'],
  ['a JSON document', '{"holdfas":1}'],
  ['dependencies', '{"holdfast":"^1.0.0","state":"held"}'],
  ['settings', '{"holdfast":1,"status":"held"}'],
  ['a letter for a version', '{"holdfast":x,"state":"held"}'],
  ['a version beyond a digit', '{"holdfast":10,"state":"held"}'],
  ['binary data', '\0\0\0\u0001'],
  ['more zeros than a record has bytes', '\0'.repeat(513)],
  ['an image of a disk, which begins with zeros', `${'\0'.repeat(1024)}data`],
  ['a lone brace', '{'],
  ['much data', 'x'.repeat(1_000_000)],
])('a file with %s', (_, content) => {
  test('is refused and left as it is', async () => {
    const lockPath = temporaryResource();
    writeFileSync(lockPath, content);
    expect(() => tryLock('x', { lockPath })).toThrow(
      expect.objectContaining({ code: 'ERR_LOCK_FOREIGN_FILE', lockPath }),
    );
    expect(() => tryLock('x', { lockPath })).toThrow(lockPath);
    expect(readFileSync(lockPath, 'utf8')).toBe(content);
    expect(await inspect('x', { lockPath })).toMatchObject({ state: 'free', crashed: false });
  });

  test('is locked with record: false and left as it is', async () => {
    const lockPath = temporaryResource();
    writeFileSync(lockPath, content);
    using held = tryLock('x', { lockPath, record: false });
    expect(held?.held).toBe(true);
    expect((await inspect('x', { lockPath })).state).toBe('exclusive');
    expect(readFileSync(lockPath, 'utf8')).toBe(content);
  });
});

test('a file full of zeros, as a power loss leaves it, is as good as empty', () => {
  const resource = temporaryResource();
  writeFileSync(`${resource}.flock`, Buffer.alloc(512));
  using held = tryLock(resource);
  expect(held).toMatchObject({ token: 1n, previousHolder: null });
});

test('a record that is torn is replaced, and names nobody', async () => {
  const resource = temporaryResource();
  const whole = craftRecord(members);
  writeFileSync(`${resource}.flock`, whole.slice(0, 100));
  expect(await inspect(resource)).toMatchObject({ state: 'free', holder: null });
  using held = tryLock(resource);
  expect(held?.previousHolder).toBeNull();
  expect(JSON.parse(recordOf(resource))).toMatchObject({ pid: process.pid, state: 'held' });
});

const largest = Number.MAX_SAFE_INTEGER;
const latest = 8.64e15;

test.each<[keyof typeof members, unknown[], unknown[]]>([
  ['pid', [0, largest], [-1, 1.5, largest + 1, '4242', null]],
  ['start', [0, largest], [-1, 1.5, largest + 1, null]],
  ['host', [''], [null, 1]],
  ['boot', [null, ''], [1, undefined]],
  ['pidns', [null, 0, largest], [-1, 1.5, '1', undefined]],
  ['token', ['0', '9'.repeat(20)], ['', '-1', '0x1', '9'.repeat(21), 7, null]],
  // Of whatever is later no Date can be made.
  ['since', [0, latest], [-1, 1.5, latest + 1, null]],
  ['lease', [null, 0, largest], [-1, 1.5, largest + 1, '1', undefined]],
  ['label', [null, ''], [1, undefined]],
])('a record names who crashed only where its %s can be one', async (member, sound, unsound) => {
  const resource = temporaryResource();
  const seen = async (value: unknown) => {
    writeFileSync(`${resource}.flock`, craftRecord({ ...members, [member]: value }));
    return (await inspect(resource)).previousHolder;
  };
  for (const value of sound) {
    const holder = await seen(value);
    expect(holder).toMatchObject({
      [member]: member === 'token' ? BigInt(value as string) : value,
    });
  }
  for (const value of unsound) expect([value, await seen(value)]).toEqual([value, null]);
});

test('a record that was changed under its checksum names nobody', async () => {
  const resource = temporaryResource();
  writeFileSync(`${resource}.flock`, craftRecord(members).replace('4242', '4243'));
  expect(await inspect(resource)).toMatchObject({ state: 'free', previousHolder: null });
});

test('a record of a later version is not read, and its token still counts', async () => {
  const resource = temporaryResource();
  const later = craftRecord(members, 'free').replace('{"holdfast":1', '{"holdfast":2');
  writeFileSync(`${resource}.flock`, later);
  expect(await inspect(resource)).toMatchObject({ state: 'free', previousHolder: null });
  using held = tryLock(resource);
  expect(held?.token).toBe(8n);
});
