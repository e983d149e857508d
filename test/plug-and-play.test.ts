import { readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { jsonlStore, jsonStore } from 'holdfast/json-store';
import { afterEach, expect, test, vi } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';

afterEach(() => {
  vi.restoreAllMocks();
});

// Yarn's Plug'n'Play replaces the handles of node:fs/promises by its own, without these methods.
test('stores write where file handles cannot sync, as under Plug’n’Play', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'any');
  writeFileSync(file, '');
  const handle = await open(file);
  for (const method of ['sync', 'datasync', 'utimes', 'readv'] as const) {
    vi.spyOn(Object.getPrototypeOf(handle), method).mockImplementation(() => {
      throw new Error('Method not implemented.');
    });
  }
  await handle.close();

  await jsonStore(join(folder, 'a.json'), { indent: 0 }).write({ count: 1 });
  expect(readFileSync(join(folder, 'a.json'), 'utf8')).toBe('{"count":1}\n');
  const lines = jsonlStore<number>(join(folder, 'a.jsonl'));
  await lines.append([1, 2]);
  await lines.compact((entries) => entries.slice(1));
  expect(readFileSync(join(folder, 'a.jsonl'), 'utf8')).toBe('2\n');
});
