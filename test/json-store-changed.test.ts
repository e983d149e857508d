import { readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { type FileLock, lock } from 'holdfast';
import { jsonStore } from 'holdfast/json-store';
import { expect, test } from 'vitest';
import { needs } from './helpers/needs.js';
import { temporaryStore } from './helpers/store.js';

interface Counter {
  count: number;
}

const increment = ({ count }: Counter) => ({ count: count + 1 });

// In seconds since 1970: whole ones, which every file system keeps as they are.
const before = 1_000_000_000;

function writeAt(time: number, file: string, content: string): void {
  writeFileSync(file, content);
  utimesSync(file, time, time);
}

test.each<[what: string, change: (file: string) => void, after: string]>([
  ['longer', (file) => writeAt(before, file, '{"count":50}'), '{"count":50}'],
  ['newer', (file) => writeAt(before + 1, file, '{"count":9}'), '{"count":9}'],
  [
    'another one',
    (file) => {
      writeAt(before, `${file}.other`, '{"count":9}');
      renameSync(`${file}.other`, file);
    },
    '{"count":9}',
  ],
])(
  'a file that is %s after a change without the lock is not overwritten',
  async (_, change, after) => {
    const file = temporaryStore();
    writeAt(before, file, '{"count":1}');
    const update = jsonStore<Counter>(file).update((value) => {
      change(file);
      return increment(value);
    });
    await expect(update).rejects.toMatchObject({ code: 'ERR_JSON_CHANGED', path: file });
    expect(readFileSync(file, 'utf8')).toBe(after);
  },
);

test('a file that was made or deleted without the lock during an update stays like that', async () => {
  const file = temporaryStore();
  const store = jsonStore<Counter>(file);
  const changed = { code: 'ERR_JSON_CHANGED', path: file };
  const making = store.updateOr({ count: 1 }, (value) => {
    writeFileSync(file, '{"count":50}');
    return increment(value);
  });
  await expect(making).rejects.toMatchObject(changed);
  expect(readFileSync(file, 'utf8')).toBe('{"count":50}');
  const deleting = store.update((value) => {
    rmSync(file);
    return increment(value);
  });
  await expect(deleting).rejects.toMatchObject(changed);
  await expect(store.read()).rejects.toMatchObject({ code: 'ENOENT' });
});

test('an update inside the update of the same file is not lost', async () => {
  const file = temporaryStore('{"count":1}');
  const store = jsonStore<Counter>(file);
  const outer = store.update(async (value) => {
    await store.update(increment);
    return increment(value);
  });
  await expect(outer).rejects.toMatchObject({ code: 'ERR_JSON_CHANGED' });
  expect(await store.read()).toEqual({ count: 2 });
});

test('an update and one that it starts without waiting for it are written whole, or refused', async () => {
  const file = temporaryStore('"old"');
  const [outside, inside] = ['a', 'b'].map((letter) => letter.repeat(4_000_000)) as [
    string,
    string,
  ];
  let inner: Promise<void> | undefined;
  const outer = jsonStore<string>(file).update(() => {
    inner = jsonStore<string>(file).write(inside);
    return outside;
  });
  const results = await Promise.allSettled([outer, outer.catch(() => {}).then(() => inner)]);
  for (const result of results) {
    const allowed = { status: 'rejected', reason: { code: 'ERR_JSON_CHANGED' } };
    if (result.status === 'rejected') expect(result).toMatchObject(allowed);
  }
  expect([outside, inside]).toContain(await jsonStore(file).read());
});

const losesName = needs('open files that lose their name when they are deleted');

losesName.each(['.flock', '.other'])(
  'when the lock file *%s was deleted and locked anew, the older holder is refused',
  async (suffix) => {
    const file = temporaryStore('{"count":1}');
    const lockPath = file + suffix;
    let newer: FileLock | undefined;
    const older = jsonStore<Counter>(file, { lockPath }).update(async (value) => {
      rmSync(lockPath);
      newer = await lock(file, { lockPath, minToken: 100n });
      return increment(value);
    });
    await expect(older).rejects.toMatchObject({ code: 'ERR_LOCK_LOST' });
    expect(newer?.held).toBe(true);
    newer?.release();
    expect(readFileSync(file, 'utf8')).toBe('{"count":1}');
  },
);

losesName(
  'when the lock file was deleted and nobody has a new one, the holder goes on',
  async () => {
    const file = temporaryStore('{"count":1}');
    const store = jsonStore<Counter>(file);
    await store.update((value) => {
      rmSync(`${file}.flock`);
      return increment(value);
    });
    expect(await store.read()).toEqual({ count: 2 });
  },
);
