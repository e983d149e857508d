import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { withLock } from 'holdfast';
import { jsonlStore, jsonStore } from 'holdfast/json-store';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { temporaryStore } from './helpers/store.js';

interface Counter {
  count: number;
}

const increment = ({ count }: Counter) => ({ count: count + 1 });

test('a value that was written is read back', async () => {
  const file = temporaryStore();
  const store = jsonStore<Counter>(file);
  await store.write({ count: 1 });
  expect(await store.read()).toEqual({ count: 1 });
  expect(readFileSync(file, 'utf8')).toBe('{\n  "count": 1\n}\n');
});

test('a file: URL stands for the path of the file', async () => {
  const file = join(temporaryFolder(), 'a b%20c.json');
  await jsonStore(pathToFileURL(file)).write({ count: 1 });
  expect(await jsonStore(file).read()).toEqual({ count: 1 });
  const lines = `${file}l`;
  await jsonlStore(pathToFileURL(lines)).append({ count: 2 });
  expect(readFileSync(lines, 'utf8')).toBe('{"count":2}\n');
  for (const store of [jsonStore, jsonlStore]) {
    expect(() => store(new URL('https://example.org/a.json'))).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_URL_SCHEME' }),
    );
  }
});

test('update() gives the new value, and needs a file', async () => {
  const store = jsonStore<Counter>(temporaryStore());
  await expect(store.update(increment)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await store.updateOr({ count: 40 }, async (value) => increment(value))).toEqual({
    count: 41,
  });
  expect(await store.updateOr({ count: 0 }, increment)).toEqual({ count: 42 });
  expect(await store.update(async (value) => increment(value))).toEqual({ count: 43 });
});

test('readOr() and updateOr() have a value for a missing file only', async () => {
  const file = temporaryStore();
  const schema = z.object({ count: z.number() });
  const store = jsonStore(file, { schema });
  expect(await store.readOr({ count: 7 })).toEqual({ count: 7 });
  for (const [content, code] of [
    ['{', 'ERR_JSON_FILE'],
    ['{}', 'ERR_JSON_SCHEMA'],
  ] as const) {
    writeFileSync(file, content);
    await expect(store.readOr({ count: 7 })).rejects.toMatchObject({ code });
    await expect(store.updateOr({ count: 7 }, increment)).rejects.toMatchObject({ code });
    expect(readFileSync(file, 'utf8')).toBe(content);
  }
});

test('read() takes no lock, not even to find that there is no JSON', async () => {
  const file = temporaryStore('{');
  await expect(jsonStore(file).read()).rejects.toMatchObject({ code: 'ERR_JSON_FILE' });
  expect(existsSync(`${file}.flock`)).toBe(false);
});

test('what a caller does to a value that stood in for a missing file stays with that caller', async () => {
  const store = jsonStore<{ list: number[] }>(temporaryStore());
  const empty = { list: [] };
  (await store.readOr(empty)).list.push(1);
  await store.updateOr(empty, (value) => {
    value.list.push(2);
    return value;
  });
  expect(empty).toEqual({ list: [] });
  expect(await store.read()).toEqual({ list: [2] });
});

test('delete() tells whether there was a file', async () => {
  const file = temporaryStore('{}');
  const store = jsonStore(file);
  expect(await store.delete()).toBe(true);
  expect(await store.delete()).toBe(false);
  expect(existsSync(file)).toBe(false);
  mkdirSync(file);
  // As unlink(2) says it of a folder.
  await expect(store.delete()).rejects.toMatchObject({ syscall: 'unlink' });
});

test('200 updates of one process at once all count', async () => {
  const file = temporaryStore('{"count":0}');
  const stores = Array.from({ length: 20 }, () => jsonStore<Counter>(file));
  await Promise.all(stores.flatMap((store) => [...Array(10)].map(() => store.update(increment))));
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ count: 200 });
});

test('when fn throws, the old value stays and no temporary file is left', async () => {
  const file = temporaryStore('{"count":1}');
  const failing = jsonStore<Counter>(file).update(() => {
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(readFileSync(file, 'utf8')).toBe('{"count":1}');
  expect(readdirSync(dirname(file)).sort()).toEqual(['state.json', 'state.json.flock']);
});

test('a value without JSON is refused', async () => {
  const file = temporaryStore('1');
  const store = jsonStore<unknown>(file);
  await expect(store.updateOr({}, () => undefined)).rejects.toThrow(
    'cannot hold undefined, which has no JSON (an update writes what its function returns)',
  );
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  for (const value of [undefined, 1n, { deep: [1n] }, circle]) {
    const refused = { code: 'ERR_INVALID_ARG_VALUE', message: expect.stringContaining(file) };
    await expect(store.write(value)).rejects.toMatchObject(refused);
    await expect(store.update(() => value)).rejects.toMatchObject(refused);
    await expect(jsonlStore<unknown>(file).append(value)).rejects.toMatchObject(refused);
  }
  expect(readFileSync(file, 'utf8')).toBe('1');
});

test.each([
  ['jsonStore', jsonStore, 'onCorrupt, indent'],
  ['jsonlStore', jsonlStore, 'onTorn'],
] as const)('%s() refuses an empty path and options that it has not', (_, make, own) => {
  const refused = (message: string) =>
    expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message });
  expect(() => make('')).toThrow(refused('the path of a file must not be empty'));
  for (const name of ['timout', 'mode']) {
    expect(() => make('file', { [name]: 1 } as object)).toThrow(
      refused(
        `there is no option ${name}: there are timeout, lease, leakCheck, label, lockPath, schema, ${own}`,
      ),
    );
  }
  make('file', { timeout: undefined, mode: undefined } as object);
});

test.each([
  [jsonStore, { onCorrupt: 'Backup' }, "onCorrupt must be 'error' or 'backup'"],
  [jsonStore, { indent: 11 }, 'indent must be a whole number from 0 to 10'],
  [jsonStore, { indent: '--' }, 'indent must be a whole number from 0 to 10'],
  [jsonStore, { schema: {} }, 'schema must be one of a library that follows Standard Schema'],
  [jsonStore, 5, 'options must be an object'],
  [jsonlStore, { schema: null }, 'schema must be one of a library that follows Standard Schema'],
  [jsonlStore, { onTorn: 'cut' }, 'onTorn must be a function'],
  [jsonlStore, null, 'options must be an object'],
])('%o refuses the options %o', (make, options, message) => {
  expect(() => make('file', options as object)).toThrow(
    expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message }),
  );
});

test('an error of a toJSON() stays what it is', async () => {
  const mine = new RangeError('mine');
  const value = {
    toJSON() {
      throw mine;
    },
  };
  await expect(jsonStore<unknown>(temporaryStore('1')).write(value)).rejects.toBe(mine);
});

test('a folder that is missing is made', async () => {
  const file = join(temporaryFolder(), 'deep', 'er', 'state.json');
  await jsonStore<Counter>(file).updateOr({ count: 0 }, increment);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ count: 1 });
});

test('a folder that is missing has no file', async () => {
  const store = jsonStore<Counter>(join(temporaryFolder(), 'deep', 'state.json'));
  await expect(store.read()).rejects.toMatchObject({ code: 'ENOENT', syscall: 'open' });
  expect(await store.readOr({ count: 7 })).toEqual({ count: 7 });
});

needs('POSIX permissions')(
  'a new file is for its owner only, an old one keeps its mode',
  async () => {
    const file = temporaryStore();
    const store = jsonStore<Counter>(file);
    await store.write({ count: 1 });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    chmodSync(file, 0o664);
    await store.update(increment);
    expect(statSync(file).mode & 0o777).toBe(0o664);
  },
);

test('a schema of zod is kept at reading and at writing', async () => {
  const file = temporaryStore('{"count":"1"}');
  const schema = z.object({ count: z.number().int() });
  const store = jsonStore(file, { schema });
  const refused = { code: 'ERR_JSON_SCHEMA' };
  await expect(store.read()).rejects.toMatchObject(refused);
  await expect(store.read()).rejects.toThrow(/state\.json holds .* at count: .*number/);
  await store.write({ count: 1 });
  await expect(store.update(({ count }) => ({ count: count / 2 }))).rejects.toMatchObject(refused);
  const read: Counter = await store.read();
  expect(read).toEqual({ count: 1 });
});

test('what the schema makes of the value is what is read', async () => {
  const file = temporaryStore('{}');
  const store = jsonStore(file, { schema: z.object({ count: z.number().default(9) }) });
  expect(await store.read()).toEqual({ count: 9 });
});

test('an update inside withLock() on the file nests', async () => {
  const file = temporaryStore('{"count":1}');
  await withLock(file, () => jsonStore<Counter>(file).update(increment));
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ count: 2 });
});

test('an update inside withLock() without a record nests, though no token tells whose it is', async () => {
  const file = temporaryStore('{"count":1}');
  await withLock(file, { record: false }, () => jsonStore<Counter>(file).update(increment));
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ count: 2 });
});

test('a store keeps its tokens growing although the lock file is deleted', async () => {
  const file = temporaryStore('{"count":1}');
  const store = jsonStore<Counter>(file);
  const tokens: bigint[] = [];
  const update = async () => {
    await store.update((value, held) => {
      tokens.push(held.token ?? -1n);
      return value;
    });
  };
  const alone = [update, update, () => withLock(file, update), update];
  for (const change of alone) {
    await change();
    rmSync(`${file}.flock`);
  }
  // Somebody else's lock knows nothing of the store's tokens.
  expect(tokens).toEqual([1n, 2n, 1n, 3n]);
});

test('leftovers of other writers go at the first update, other files stay', async () => {
  const file = temporaryStore('{"count":1}');
  const folder = dirname(file);
  for (const name of ['.state.json.77.5.1.tmp', '.state.json.tmp', '.other.json.77.5.1.tmp']) {
    writeFileSync(join(folder, name), '{');
  }
  await jsonStore<Counter>(file).update(increment);
  expect(readdirSync(folder).sort()).toEqual([
    '.other.json.77.5.1.tmp',
    '.state.json.tmp',
    'state.json',
    'state.json.flock',
  ]);
});

test('a leftover that cannot be removed fails the update: its writer may live', async () => {
  const file = temporaryStore('{"count":1}');
  mkdirSync(join(dirname(file), '.state.json.77.5.1.tmp'));
  // As unlink(2) says it of a folder.
  const refused = { syscall: 'unlink', code: expect.stringMatching(/EISDIR|EPERM/) };
  await expect(jsonStore<Counter>(file).update(increment)).rejects.toMatchObject(refused);
  expect(readFileSync(file, 'utf8')).toBe('{"count":1}');
});
