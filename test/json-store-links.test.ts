import { lstatSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { jsonStore } from 'holdfast/json-store';
import { expect } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { temporaryStore } from './helpers/store.js';

interface Counter {
  count: number;
}

const increment = ({ count }: Counter) => ({ count: count + 1 });

needs('POSIX permissions')('a circle of links is an error', async () => {
  const folder = temporaryFolder();
  const [one, other] = [join(folder, 'one'), join(folder, 'other')] as const;
  symlinkSync(one, other);
  symlinkSync(other, one);
  const circle = { code: 'ELOOP', path: one };
  await expect(jsonStore(one).read()).rejects.toMatchObject(circle);
  await expect(jsonStore(one).write(1)).rejects.toMatchObject(circle);
});

needs('POSIX permissions')('a link to a file that is made only now stays a link', async () => {
  const file = join(temporaryFolder(), 'state.json');
  const folder = temporaryFolder();
  const link = join(folder, 'link.json');
  symlinkSync('next.json', link);
  symlinkSync(file, join(folder, 'next.json'));
  await Promise.all(
    [...Array(20)].map((_, i) => {
      const store = jsonStore<Counter>(i % 2 ? file : link);
      return store.updateOr({ count: 0 }, increment);
    }),
  );
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ count: 20 });
});

needs('POSIX permissions')('a link to the file stays a link, and both have one lock', async () => {
  const file = temporaryStore('{"count":0}');
  const link = join(temporaryFolder(), 'link.json');
  symlinkSync(file, link);
  await Promise.all(
    [...Array(20)].map((_, i) => jsonStore<Counter>(i % 2 ? file : link).update(increment)),
  );
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ count: 20 });
});
