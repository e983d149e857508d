import { readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { retryBusy } from '../src/json-store/retry-busy.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { refuseAtFirst } from './helpers/refusals.js';

const { jsonlStore, jsonStore } = await import('holdfast/json-store');

function failing(times: number, code: string) {
  let calls = 0;
  return () => {
    calls += 1;
    if (calls <= times) throw Object.assign(new Error(code), { code });
    return calls;
  };
}

test('what Windows refuses while somebody has the file open is tried again', async () => {
  for (const code of ['EPERM', 'EBUSY', 'EACCES']) {
    const publish = failing(3, code);
    await retryBusy(publish, 'win32');
    expect(publish()).toBe(5);
  }
});

test('what stays refused on Windows is given up within about a second', async () => {
  const before = performance.now();
  const publish = vi.fn(failing(Number.POSITIVE_INFINITY, 'EPERM'));
  await expect(retryBusy(publish, 'win32')).rejects.toMatchObject({ code: 'EPERM' });
  expect(performance.now() - before).toBeGreaterThan(900);
  // The file belongs to somebody else meanwhile, and the processor too.
  expect(publish.mock.calls.length).toBeLessThan(100);
});

test('other errors, and all of other systems, are final', async () => {
  await expect(retryBusy(failing(1, 'ENOSPC'), 'win32')).rejects.toMatchObject({ code: 'ENOSPC' });
  await expect(retryBusy(failing(1, 'EACCES'), 'linux')).rejects.toMatchObject({ code: 'EACCES' });
});

describe('while another program has its file open on Windows,', () => {
  const test = needs('Windows', 'built-in modules that can be patched');

  function temporaryFile(content: string): string {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, content);
    return file;
  }

  async function lengthOf(entries: AsyncIterable<unknown>): Promise<number> {
    let length = 0;
    for await (const _ of entries) length += 1;
    return length;
  }

  test.for([
    ['append', (file: string) => jsonlStore<number[]>(file).append([[4]]), undefined],
    ['compact', (file: string) => jsonlStore<number[]>(file).compact((all) => all), undefined],
    ['read lines', (file: string) => lengthOf(jsonlStore(file).read()), 1],
    ['read', (file: string) => jsonStore(file).read(), [1]],
    ['update', (file: string) => jsonStore(file).update(() => [2]), [2]],
  ] as const)('a store can %s as soon as that ends', async ([, work, outcome]) => {
    const file = temporaryFile('[1]\n');
    refuseAtFirst('open', file, 'EBUSY');
    await expect(work(file)).resolves.toEqual(outcome);
  });

  test('a store can be deleted as soon as that ends', async () => {
    const file = temporaryFile('[1]');
    refuseAtFirst('unlinkSync', file, 'EBUSY');
    await expect(jsonStore(file).delete()).resolves.toBe(true);
  });

  test('what is not JSON is moved aside as soon as that ends', async () => {
    const file = temporaryFile('[1');
    refuseAtFirst('renameSync', file, 'EBUSY');
    await expect(jsonStore(file, { onCorrupt: 'backup' }).readOr([2])).resolves.toEqual([2]);
  });

  test('what a crash has left is removed as soon as that ends', async () => {
    const file = temporaryFile('[1]');
    const left = join(dirname(file), '.file.1.1.1.tmp');
    writeFileSync(left, '');
    refuseAtFirst('unlink', left, 'EPERM');
    await jsonStore(file).write([2]);
    expect(readdirSync(dirname(file)).sort()).toEqual(['file', 'file.flock']);
  });
});
