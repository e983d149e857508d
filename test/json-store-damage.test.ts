import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type JsonFileError, jsonlStore, jsonStore } from 'holdfast/json-store';
import { expect, test } from 'vitest';
import { temporaryStore } from './helpers/store.js';

test('invalid JSON is an error with the file, line and column, and stays as it is', async () => {
  for (const [content, line, column, reason] of [
    ['{\n  "a": 1,\n  "b": x\n}', 3, 8, 'unexpected "x"'],
    ['{"a":1', 1, 7, 'it ends too early'],
    ['', 1, 1, 'the file is empty'],
    ['{"a":"\n"}', 1, 7, 'unexpected "\\n"'],
    ['[1,]', 1, 4, 'unexpected "]"'],
    ['{"a":01}', 1, 7, 'unexpected "1"'],
    ['"\\x"', 1, 2, 'unexpected "\\\\"'],
    ['{} {}', 1, 4, 'unexpected "{"'],
    ['tru', 1, 1, 'unexpected "t"'],
    ['['.repeat(200_000), 1, undefined, undefined],
  ] as const) {
    const file = temporaryStore(content);
    const error: JsonFileError = await jsonStore<never>(file)
      .read()
      .catch((caught) => caught);
    expect(error).toMatchObject({ code: 'ERR_JSON_FILE', path: file, line, backup: null });
    if (column !== undefined) {
      expect(error.column).toBe(column);
      expect(error.message).toBe(`${file}:${line}:${column} is not JSON: ${reason}`);
    }
    await expect(jsonStore(file).update((value) => value)).rejects.toThrow('is not JSON');
    expect(readFileSync(file, 'utf8')).toBe(content);
  }
});

test('bytes that are no UTF-8 are an error, not replacement characters', async () => {
  const file = temporaryStore();
  writeFileSync(file, Buffer.from([0x22, 0x61, 0xff, 0x22]));
  const error = await jsonStore(file)
    .read()
    .catch((caught) => caught);
  expect(error).toMatchObject({ code: 'ERR_JSON_FILE', line: 1, column: 3 });
});

test("onCorrupt: 'backup' moves the file aside, once, and goes on", async () => {
  const file = temporaryStore('{"count":');
  const store = jsonStore<{ count: number }>(file, { onCorrupt: 'backup' });
  const error: JsonFileError = await store.read().catch((caught) => caught);
  expect(error).toMatchObject({ code: 'ERR_JSON_FILE', line: 1 });
  expect(readFileSync(error.backup ?? '', 'utf8')).toBe('{"count":');
  await expect(store.read()).rejects.toMatchObject({ code: 'ENOENT' });
  writeFileSync(file, '}');
  expect(await store.updateOr({ count: 1 }, ({ count }) => ({ count: count + 1 }))).toEqual({
    count: 2,
  });
  writeFileSync(file, '}');
  expect(await store.readOr({ count: 5 })).toEqual({ count: 5 });
  expect(readdirSync(dirname(file)).filter((name) => name.includes('corrupt'))).toHaveLength(3);
});

// 64 bytes, so that no piece of the file ends within a line.
const line = `"${'x'.repeat(61)}"\n`;

test('a torn last line is not read behind many whole ones either', async () => {
  const store = jsonlStore<string>(temporaryStore(`${line.repeat(2_000)}{"turn`));
  let count = 0;
  for await (const _ of store.read()) count += 1;
  expect(count).toBe(2_000);
});

test('reading ends where the file was shortened meanwhile, without the lock', async () => {
  const file = temporaryStore(line.repeat(4_000));
  let count = 0;
  for await (const _ of jsonlStore<string>(file).read()) {
    if (count === 0) truncateSync(file);
    count += 1;
  }
  expect(count).toBeLessThan(4_000);
});
