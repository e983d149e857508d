import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type FileLock, lock, withLock } from 'holdfast';
import { jsonlStore } from 'holdfast/json-store';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { descriptorsOf } from './helpers/descriptors.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { slowness } from './helpers/slowness.js';
import { ended, startWriter } from './helpers/store-writer.js';

interface Turn {
  turn: number;
}

function temporaryFile(content?: string): string {
  const file = join(temporaryFolder(), 'session.jsonl');
  if (content !== undefined) writeFileSync(file, content);
  return file;
}

async function all<T>(entries: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const entry of entries) list.push(entry);
  return list;
}

test('entries are read in the order in which they were appended', async () => {
  const file = temporaryFile();
  const store = jsonlStore<Turn>(file, {
    onTorn() {
      throw new Error('nothing is torn');
    },
  });
  await store.append([]);
  expect(existsSync(file)).toBe(false);
  await store.append({ turn: 1 });
  await store.append([{ turn: 2 }, { turn: 3 }]);
  await store.append([]);
  expect(readFileSync(file, 'utf8')).toBe('{"turn":1}\n{"turn":2}\n{"turn":3}\n');
  expect(await all(store.read())).toEqual([{ turn: 1 }, { turn: 2 }, { turn: 3 }]);
});

test('a file that is missing is an error for read() and compact()', async () => {
  const store = jsonlStore(temporaryFile());
  await expect(all(store.read())).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(store.compact((entries) => entries)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a torn last line is not read, and is cut off at the next append', async () => {
  for (const torn of [
    '{"turn":2,"text":"ab',
    '{',
    '[1',
    '"ab',
    '12',
    '\0\0\0',
    'x'.repeat(200_000),
  ]) {
    const file = temporaryFile(`{"turn":1}\n${torn}`);
    const cut: string[] = [];
    const store = jsonlStore<Turn>(file, { onTorn: (line) => cut.push(line) });
    expect(await all(store.read())).toEqual([{ turn: 1 }]);
    await store.append({ turn: 3 });
    expect(readFileSync(file, 'utf8')).toBe('{"turn":1}\n{"turn":3}\n');
    expect(cut).toEqual([torn]);
  }
});

test('an append whose onTorn throws writes nothing and cuts nothing off', async () => {
  const file = temporaryFile('{"turn":1}\n{"tu');
  const store = jsonlStore<Turn>(file, {
    onTorn() {
      throw new Error('no room for it');
    },
  });
  await expect(store.append({ turn: 3 })).rejects.toThrow('no room for it');
  expect(readFileSync(file, 'utf8')).toBe('{"turn":1}\n{"tu');
});

test('a whole last line that only lacks its line end stays', async () => {
  const file = temporaryFile('{"turn":1}\n{"turn":2}');
  const store = jsonlStore<Turn>(file);
  expect(await all(store.read())).toEqual([{ turn: 1 }, { turn: 2 }]);
  await store.append({ turn: 3 });
  expect(readFileSync(file, 'utf8')).toBe('{"turn":1}\n{"turn":2}\n{"turn":3}\n');
});

test('a whole last line with a byte order mark, as editors write it, stays', async () => {
  const file = temporaryFile('\ufeff{"turn":1}');
  const store = jsonlStore<Turn>(file);
  expect(await all(store.read())).toEqual([{ turn: 1 }]);
  await store.append({ turn: 2 });
  expect(readFileSync(file, 'utf8')).toBe('\ufeff{"turn":1}\n{"turn":2}\n');
  expect(await all(store.read())).toEqual([{ turn: 1 }, { turn: 2 }]);
});

test('a file of one torn line is empty after it was cut', async () => {
  const file = temporaryFile('{"turn":');
  const store = jsonlStore<Turn>(file);
  expect(await all(store.read())).toEqual([]);
  await store.append({ turn: 1 });
  expect(readFileSync(file, 'utf8')).toBe('{"turn":1}\n');
});

test('a file of one empty line is appended to', async () => {
  const file = temporaryFile('\n');
  await jsonlStore<Turn>(file).append({ turn: 1 });
  expect(readFileSync(file, 'utf8')).toBe('\n{"turn":1}\n');
});

test('blank lines are no entries, whatever they are made of', async () => {
  const file = temporaryFile('\n{"turn":1}\r\n \t\r\n\n{"turn":2}\n  ');
  const store = jsonlStore<Turn>(file);
  expect(await all(store.read())).toEqual([{ turn: 1 }, { turn: 2 }]);
});

test('a line that is not JSON is an error with its number, wherever the pieces of the file end', async () => {
  const long = JSON.stringify({ text: 'é'.repeat(70_000) });
  const file = temporaryFile(`${long}\n\n${long}\n{"turn":x}\n${long}\n`);
  const error = await all(jsonlStore(file).read()).catch((caught) => caught);
  expect(error).toMatchObject({ code: 'ERR_JSON_FILE', line: 4, column: 9 });
});

test('lines of any length are read whole', async () => {
  const file = temporaryFile();
  const store = jsonlStore<string>(file);
  const entries = [0, 1, 65_533, 65_534, 65_535, 200_000].map((length) => 'é'.repeat(length));
  await store.append(entries);
  expect(await all(store.read())).toEqual(entries);
});

test('appending to a file of many megabytes reads only its end', {
  timeout: 30_000 * slowness,
}, async () => {
  const line = `${JSON.stringify({ text: 'x'.repeat(1_000) })}\n`;
  const file = temporaryFile(line.repeat(30_000));
  const store = jsonlStore<Turn>(file);
  await store.append({ turn: 0 });
  // A hole of 1 TB costs nothing on the disk, but whoever read it would not come back in time.
  truncateSync(file, 2 ** 40);
  appendFileSync(file, '\n{"turn":');
  await store.append({ turn: 1 });
  const tail = Buffer.alloc(12);
  const { size } = statSync(file);
  const fd = openSync(file, 'r');
  readSync(fd, tail, 0, 12, size - 12);
  closeSync(fd);
  expect(tail.toString()).toBe('\n{"turn":1}\n');
});

test('a schema is kept at appending and at reading', async () => {
  const file = temporaryFile('{"turn":"1"}\n');
  const store = jsonlStore(file, { schema: z.object({ turn: z.number() }) });
  const refused = { code: 'ERR_JSON_SCHEMA' };
  await expect(all(store.read())).rejects.toMatchObject(refused);
  await expect(store.append([{ turn: 1 }, { turn: Number.NaN }])).rejects.toMatchObject(refused);
  expect(readFileSync(file, 'utf8')).toBe('{"turn":"1"}\n');
});

const replaces = needs('open files that can be replaced');

replaces(
  'compact() keeps what fn makes of the entries, and readers keep what they began',
  async () => {
    const file = temporaryFile('{"turn":1}\n{"turn":2}\n{"turn":3}\n{"tu');
    const store = jsonlStore<Turn>(file);
    const reader = store.read();
    expect((await reader.next()).value).toEqual({ turn: 1 });
    await store.compact(async (entries) => entries.filter(({ turn }) => turn !== 2));
    expect(readFileSync(file, 'utf8')).toBe('{"turn":1}\n{"turn":3}\n');
    expect(await all(reader)).toEqual([{ turn: 2 }, { turn: 3 }]);
  },
);

test('an append inside compact() is not lost', async () => {
  const file = temporaryFile('{"turn":1}\n');
  const store = jsonlStore<Turn>(file);
  const compaction = store.compact(async (entries) => {
    await store.append({ turn: 2 });
    return entries;
  });
  await expect(compaction).rejects.toMatchObject({ code: 'ERR_JSON_CHANGED' });
  expect(await all(store.read())).toEqual([{ turn: 1 }, { turn: 2 }]);
});

test('appends inside withLock() on the file nest, one after the other', async () => {
  const file = temporaryFile('{"torn":');
  const store = jsonlStore<Turn>(file);
  await withLock(file, () =>
    Promise.all(Array.from({ length: 20 }, (_, turn) => store.append({ turn }))),
  );
  expect(await all(store.read())).toHaveLength(20);
});

const losesName = needs('open files that lose their name when they are deleted');

losesName('what happens to the file before the moment of an append is noticed', async () => {
  const torn = '{"turn":1}\n{"tu';
  const another = '{"turn":4}\n{"turn":5}\n';
  for (const [change, after] of [
    [(file: string) => appendFileSync(file, 'rn":2}\n'), '{"turn":1}\n{"turn":2}\n'],
    [(file: string) => rmSync(file), undefined],
    [
      (file: string) => {
        renameSync(file, `${file}.1`);
        writeFileSync(file, another);
      },
      another,
    ],
  ] as const) {
    const file = temporaryFile(torn);
    const late = jsonlStore<Turn>(file, { onTorn: () => change(file) }).append({ turn: 3 });
    await expect(late).rejects.toMatchObject({ code: 'ERR_JSON_CHANGED', path: file });
    expect(existsSync(file) ? readFileSync(file, 'utf8') : undefined).toBe(after);
  }
});

losesName(
  'when the lock file was deleted and locked anew, the append of the older holder is refused',
  async () => {
    const file = temporaryFile('{"turn":1}\n');
    let newer: FileLock | undefined;
    const validate = async (value: unknown) => {
      rmSync(`${file}.flock`);
      newer = await lock(file, { minToken: 100n });
      return { value: value as Turn };
    };
    const store = jsonlStore<Turn>(file, { schema: { '~standard': { version: 1, validate } } });
    const older = store.append({ turn: 99 });
    await expect(older).rejects.toMatchObject({ code: 'ERR_LOCK_LOST' });
    newer?.release();
    expect(readFileSync(file, 'utf8')).toBe('{"turn":1}\n');
  },
);

needs('POSIX permissions')('a new file is for its owner only', async () => {
  const file = temporaryFile();
  await jsonlStore<Turn>(file).append({ turn: 1 });
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

needs('/proc')('no descriptor stays open', async () => {
  const file = temporaryFile();
  const store = jsonlStore<Turn>(file);
  for (let turn = 1; turn < 50; turn += 1) {
    await store.append({ turn });
    for await (const _ of store.read()) break;
  }
  expect(descriptorsOf(null, file)).toBe(0);
});

test('4 processes append while 12 are killed: what was promised is there once, and no line is merged', {
  timeout: 60_000 * slowness,
}, async () => {
  const file = temporaryFile();
  const promised = new Set<string>();
  const runOne = async (name: string) => {
    for (let life = 0; life < 3; life += 1) {
      const child = startWriter('appends', file, name, life);
      const enough = 5 + Math.random() * 20;
      let count = 0;
      child.on('message', (message: { promised: string[] }) => {
        for (const key of message.promised) promised.add(key);
        count += 1;
        if (count > enough) child.kill('SIGKILL');
      });
      expect(await ended(child)).toBeNull();
    }
  };
  await Promise.all(['a', 'b', 'c', 'd'].map(runOne));
  const store = jsonlStore<Record<string, number | string>>(file);
  await store.append({ name: 'last' });
  const keys = (await all(store.read())).map(
    ({ name, life, number, part }) => `${name} ${life} ${number} ${part}`,
  );
  expect(new Set(keys).size).toBe(keys.length);
  for (const key of promised) expect(keys).toContain(key);
  expect(promised.size).toBeGreaterThan(60);
});
