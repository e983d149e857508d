import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { lock, lockSync, tryLock, withLock } from 'holdfast';
import { afterEach, describe, expect, type TestContext } from 'vitest';
import { holdfast } from '../helpers/cli.js';
import { temporaryResource } from '../helpers/folder.js';
import { needs } from '../helpers/needs.js';
import { patience } from '../helpers/slowness.js';

const program = process.env['HOLDFAST_LOCKFILEEX'] ?? '';
const test = needs('lockfileex.exe');

const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill();
  children.clear();
});

function attempt(path: string, mode: string): string {
  return execFileSync(program, [path, mode], { encoding: 'utf8' }).trim();
}

const openable = 'this system lets others open a file that was deleted and not closed';

/** Starts the program and waits until it has what it wants, if that can be had here. */
async function holdElsewhere(path: string, how: string[], context?: TestContext) {
  const child = spawn(program, [path, ...how], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  const [said] = await once(child.stdout, 'data');
  context?.skip(String(said).trim() === 'openable', openable);
  expect(String(said).trim()).toBe('held');
  return child;
}

test.for([
  ['exclusive', 'exclusive', 'contended'],
  ['exclusive', 'shared', 'contended'],
  ['shared', 'exclusive', 'contended'],
  ['shared', 'shared', 'held'],
] as const)(
  'a program that locks the whole file meets our %s lock with its %s one: %s',
  ([ours, theirs, outcome]) => {
    const held = tryLock(temporaryResource(), { mode: ours });
    expect(attempt(held?.lockPath ?? '', theirs)).toBe(outcome);
    held?.release();
    expect(attempt(held?.lockPath ?? '', theirs)).toBe('held');
  },
);

test('a lock on the whole file keeps ours out until its program dies', async () => {
  const resource = temporaryResource();
  const child = await holdElsewhere(`${resource}.flock`, ['exclusive', 'hold']);
  expect(tryLock(resource)).toBeNull();
  const waiting = lock(resource, { timeout: patience });
  child.kill();
  (await waiting).release();
});

test('the record of a held lock can be read by others', () => {
  const held = tryLock(temporaryResource(), { label: 'readable' });
  expect(readFileSync(held?.lockPath ?? '', 'utf8')).toContain('"label":"readable"');
  held?.release();
});

describe.for([
  ['opened without sharing it', 'unshared'],
  ['deleted and not closed', 'deleted'],
])('while another program has a lock file %s,', ([, how = '']) => {
  test('tryLock is refused as by a holder, again and again', async (context) => {
    const resource = temporaryResource();
    await holdElsewhere(`${resource}.flock`, [how], context);
    for (const mode of ['exclusive', 'shared', 'exclusive'] as const) {
      expect(tryLock(resource, { mode })).toBeNull();
    }
  });

  test('holdfast run ends as one that did not get the lock', async (context) => {
    const path = `${temporaryResource()}.flock`;
    await holdElsewhere(path, [how], context);
    for (const mode of ['-x', '-s']) {
      const { code, stderr } = await holdfast('run', mode, '-nE9', path, '-c', 'exit 0').ended;
      expect({ code, stderr }).toEqual({
        code: 9,
        stderr: expect.stringContaining('was not locked'),
      });
    }
  });

  test('those who wait keep to their timeouts and signals', async (context) => {
    const resource = temporaryResource();
    await holdElsewhere(`${resource}.flock`, [how], context);
    const signal = AbortSignal.timeout(60);
    const late = { code: 'ERR_LOCK_TIMEOUT', holder: null };
    await Promise.all([
      expect(lock(resource, { timeout: 0 })).rejects.toMatchObject(late),
      expect(lock(resource, { timeout: 30 })).rejects.toMatchObject(late),
      expect(lock(resource, { timeout: 90, mode: 'shared' })).rejects.toMatchObject(late),
      expect(lock(resource, { signal })).rejects.toMatchObject({ name: 'TimeoutError' }),
    ]);
    expect(() => lockSync(resource, { timeout: 50 })).toThrow(expect.objectContaining(late));
  });

  test('those who wait are granted, one after the other, once it is ended', async (context) => {
    const resource = temporaryResource();
    const child = await holdElsewhere(`${resource}.flock`, [how], context);
    const order: number[] = [];
    const waits = [1, 2, 3].map((number) => withLock(resource, () => order.push(number)));
    // By another path they are in another queue, until both know which file it is.
    const lockPath = join(dirname(resource), 'RESOURCE.flock');
    const elsewhere = withLock(resource, { lockPath }, ({ held }) => held);
    child.kill();
    await Promise.all(waits);
    expect(order).toEqual([1, 2, 3]);
    await expect(elsewhere).resolves.toBe(true);
    using after = lockSync(resource);
    expect(after.held).toBe(true);
  });
});
