import {
  appendFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type FileLock, heldLocks, lock, withLock } from 'holdfast';
import { expect } from 'vitest';
import { descriptorsOf } from './helpers/descriptors.js';
import { temporaryFolder } from './helpers/folder.js';
import { lost } from './helpers/lost.js';
import { needs } from './helpers/needs.js';
import {
  allow,
  before,
  onHandles,
  refuse,
  refuseToClose,
  refuseToOpen,
  refuseToShortenAppending,
  refuseToSync,
} from './helpers/refusals.js';

const { jsonlStore, jsonStore } = await import('holdfast/json-store');

type Read = (into: Buffer, at: number, length: number, from: number) => unknown;

const patched = needs('built-in modules that can be patched');
const patchedFolders = needs(
  'built-in modules that can be patched',
  'folders that have to be synced',
);

function temporaryFile(content?: string): string {
  const file = join(temporaryFolder(), 'file');
  if (content !== undefined) writeFileSync(file, content);
  return file;
}

const textOf = (file: string) => readFileSync(file, 'utf8');

patched.each([
  ['a new file', undefined, ''],
  ['whole lines', '{"n":1}\n', '{"n":1}\n'],
  ['a last line without an end', '{"n":1}', '{"n":1}'],
  ['a torn line', '{"n":1}\n{"n":', '{"n":1}\n'],
])('an append to %s that cannot be synced is taken back', async (_, before, after) => {
  const file = temporaryFile(before);
  const store = jsonlStore<{ n: number }>(file);
  refuseToSync('fdatasync', 'ENOSPC');
  await expect(store.append([{ n: 2 }, { n: 3 }])).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(textOf(file)).toBe(after);
  allow();
  await store.append({ n: 4 });
  expect(textOf(file).trimEnd().split('\n').at(-1)).toBe('{"n":4}');
});

patched('a torn line is cut off where what appends cannot shorten the file (Windows)', async () => {
  const file = temporaryFile('{"n":1}\n{"n":');
  refuseToShortenAppending();
  const store = jsonlStore<{ n: number }>(file);
  await store.append({ n: 2 });
  expect(textOf(file)).toBe('{"n":1}\n{"n":2}\n');
  refuseToSync('fdatasync', 'ENOSPC');
  await expect(store.append({ n: 3 })).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(textOf(file)).toBe('{"n":1}\n{"n":2}\n');
});

patched('an append that cannot be synced is not taken back from under a later one', async () => {
  const file = temporaryFile('{"n":1}\n');
  refuseToSync('fdatasync', 'EIO', () => appendFileSync(file, '{"n":3}\n'));
  await expect(jsonlStore(file).append({ n: 2 })).rejects.toMatchObject({ code: 'EIO' });
  expect(textOf(file)).toBe('{"n":1}\n{"n":2}\n{"n":3}\n');
});

patched('an append that cannot be synced is not taken back without the lock', async () => {
  const file = temporaryFile('{"n":1}\n');
  const late = withLock(file, { lease: 200 }, async (held) => {
    refuseToSync('fdatasync', 'EIO', () => lost(held.signal));
    await jsonlStore(file).append({ n: 2 });
  });
  await expect(late).rejects.toMatchObject({ code: 'ERR_LOCK_EXPIRED' });
  expect(textOf(file)).toBe('{"n":1}\n{"n":2}\n');
});

patched('an append that can be neither synced nor taken back says what came first', async () => {
  const file = temporaryFile('{"n":1}\n');
  refuseToSync('fdatasync', 'ENOSPC');
  refuse('ftruncateSync', file, 'EIO');
  await expect(jsonlStore(file).append({ n: 2 })).rejects.toMatchObject({ code: 'ENOSPC' });
});

patchedFolders('a new file whose folder cannot be synced stays empty', async () => {
  const file = temporaryFile();
  refuseToSync('fsync', 'EIO');
  await expect(jsonlStore(file).append({ n: 1 })).rejects.toMatchObject({ code: 'EIO' });
  expect(textOf(file)).toBe('');
});

patched('what is on the disk is not undone by a close that fails', async () => {
  const [lines, file] = [temporaryFile('{"n":1}\n'), temporaryFile()];
  refuseToClose('EIO');
  await jsonlStore(lines).append({ n: 2 });
  await jsonStore(file).write({ n: 2 });
  expect(textOf(lines)).toBe('{"n":1}\n{"n":2}\n');
  expect(JSON.parse(textOf(file))).toEqual({ n: 2 });
  expect(readdirSync(dirname(file)).sort()).toEqual(['file', 'file.flock']);
});

patchedFolders(
  'a folder that cannot be opened fails an update before it is published',
  async () => {
    const file = temporaryFile('{"n":1}');
    refuseToOpen(dirname(file), 'EMFILE');
    const store = jsonStore(file);
    await expect(store.write({ n: 2 })).rejects.toMatchObject({ code: 'EMFILE' });
    await expect(store.delete()).rejects.toMatchObject({ code: 'EMFILE' });
    expect(textOf(file)).toBe('{"n":1}');
    expect(readdirSync(dirname(file)).sort()).toEqual(['file', 'file.flock']);
  },
);

// Windows opens no folder, and does not let go of the name of a lock file that is open.
patchedFolders('a delete() that has lost the lock in the last moment deletes nothing', async () => {
  const [robbed, late] = [temporaryFile('{"n":1}'), temporaryFile('{"n":1}')];
  let newer: FileLock | undefined;
  before('readdir', dirname(robbed), async () => {
    rmSync(`${robbed}.flock`);
    newer = await lock(robbed, { minToken: 100n });
  });
  await expect(jsonStore(robbed).delete()).rejects.toMatchObject({ code: 'ERR_LOCK_LOST' });
  newer?.release();
  const store = jsonStore(late, { lease: 100 });
  before('open', dirname(late), async () => {
    while (heldLocks().some(({ resource }) => resource === late)) await nextTurn();
  });
  await expect(store.delete()).rejects.toMatchObject({ code: 'ERR_LOCK_EXPIRED' });
  for (const file of [robbed, late]) expect(textOf(file)).toBe('{"n":1}');
});

patched('an update that cannot be synced leaves the old file and nothing beside it', async () => {
  const file = temporaryFile('{"n":1}');
  refuseToSync('fsync', 'EIO');
  refuseToClose('EIO');
  await expect(jsonStore(file).write({ n: 2 })).rejects.toMatchObject({ syscall: 'fsync' });
  expect(textOf(file)).toBe('{"n":1}');
  expect(readdirSync(dirname(file)).sort()).toEqual(['file', 'file.flock']);
});

needs('built-in modules that can be patched', '/proc')(
  'neither what succeeds nor what fails leaves a descriptor open',
  async () => {
    const [lines, file] = [temporaryFile('{"n":1}\n'), temporaryFile('{"n":1}')];
    await jsonlStore(lines).compact((entries) => entries);
    await jsonStore(file).write(await jsonStore(file).read());
    refuseToSync('fdatasync', 'EIO');
    refuseToSync('fsync', 'EIO');
    await expect(jsonlStore(lines).append({ n: 2 })).rejects.toMatchObject({ code: 'EIO' });
    await expect(jsonStore(file).write({ n: 2 })).rejects.toMatchObject({ code: 'EIO' });
    await expect(jsonStore(file).delete()).rejects.toMatchObject({ code: 'EIO' });
    writeFileSync(file, '{');
    await expect(jsonStore(file).read()).rejects.toMatchObject({ code: 'ERR_JSON_FILE' });
    for (const path of [lines, file]) expect(descriptorsOf(null, dirname(path))).toBe(0);
  },
);

patched(
  'who lost the lock while it wrote is told so, though its temporary file is gone',
  async () => {
    const file = temporaryFile('{"n":1}');
    let held: FileLock | undefined;
    let goOn = () => {};
    const written = new Promise<void>((resolve) => {
      onHandles('writeFile', (real: (text: string) => unknown) => async (text) => {
        await real(text);
        resolve();
        await new Promise<void>((done) => {
          goOn = done;
        });
      });
    });
    const late = jsonStore(file, { lease: 30 }).update((_, lock) => {
      held = lock;
      return { n: 2 };
    });
    late.catch(() => {});
    await written;
    allow();
    await lost((held as FileLock).signal);
    await jsonStore(file).write({ n: 3 });
    goOn();
    await expect(late).rejects.toMatchObject({ code: 'ERR_LOCK_EXPIRED' });
    expect(JSON.parse(textOf(file))).toEqual({ n: 3 });
  },
);

patched('only the first write of a store reads the names in the folder', async () => {
  const file = temporaryFile();
  const store = jsonStore(file);
  let reads = 0;
  before('readdir', dirname(file), () => {
    reads += 1;
  });
  for (const n of [1, 2, 3]) await store.write({ n });
  expect(reads).toBe(1);
});

patched('a file that is emptied while its lines are read ends there', async () => {
  const file = temporaryFile('{"n":1}\n{"n":');
  const emptyAt = (number: number) => {
    let reads = 0;
    onHandles('read', (real: Read) => (into, at, length, from) => {
      reads += 1;
      if (reads === number) truncateSync(file);
      return real(into, at, length, from);
    });
  };
  emptyAt(1);
  await expect(jsonlStore(file).append({ n: 2 })).rejects.toMatchObject({
    code: 'ERR_JSON_CHANGED',
  });
  allow();
  writeFileSync(file, '{"n":1}\n');
  emptyAt(2);
  for await (const _ of jsonlStore(file).read()) throw new Error('there is nothing left');
  expect(textOf(file)).toBe('');
});

patched.each(['{"n":1}\n{"n":2}\n{"n":', '{"n":1}\n{"n":2}', '1\n2\n'])(
  'reads that give less than was asked for cost no line of %j',
  async (content) => {
    const file = temporaryFile(content);
    const whole = content.split('\n').filter((line) => line !== '{"n":' && line !== '');
    onHandles('read', (real: Read) => (into, at, length, from) => {
      return real(into, at, Math.ceil(length / 2), from);
    });
    await jsonlStore(file).append({ n: 3 });
    expect(textOf(file)).toBe(`${[...whole, '{"n":3}'].join('\n')}\n`);
  },
);
