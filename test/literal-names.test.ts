import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join, sep, toNamespacedPath } from 'node:path';
import { tryLock } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';

// Those of devices, and ends that Windows cuts off unless it is told not to, as Node tells it.
describe.each(['nul', 'CON', 'aux.jsonl', 'com1', 'dot.', 'space '])('%j', (name) => {
  test('can be locked, and names nothing else', () => {
    const folder = temporaryFolder();
    const resource = join(folder, name);
    writeFileSync(resource, '');
    using held = tryLock(resource);
    expect(held?.held).toBe(true);
    expect(readdirSync(folder).sort()).toEqual([name, `${name}.flock`]);
    tryLock(resource, { lockPath: resource, record: false })?.release();
    expect(readdirSync(folder).sort()).toEqual([name, `${name}.flock`]);
  });

  test('can be a folder with locked files', () => {
    const folder = join(temporaryFolder(), name);
    mkdirSync(folder);
    using held = tryLock(join(folder, 'resource'));
    expect(held?.held).toBe(true);
    expect(readdirSync(folder)).toEqual(['resource.flock']);
  });
});

test('paths of more than 260 characters work in every form', () => {
  const folder = join(temporaryFolder(), 'a'.repeat(150), 'b'.repeat(150));
  mkdirSync(folder, { recursive: true });
  const resource = join(folder, 'resource');
  const literal = toNamespacedPath(resource);
  const forms = [resource, literal].flatMap((form) => [form, form.replaceAll(sep, '/')]);
  using held = tryLock(resource);
  expect(held?.held).toBe(true);
  for (const form of [...forms, `${folder}/../${basename(folder)}/./resource`]) {
    expect(tryLock(form)).toBeNull();
  }
  expect(readdirSync(folder)).toEqual(['resource.flock']);
});
