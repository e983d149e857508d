import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { lock, tryLock } from 'holdfast';
import { afterEach, expect, test } from 'vitest';
import { temporaryResource } from '../helpers/folder.js';

// test/smoke/lockfileex.c, built by the Windows lane.
const program = process.env['HOLDFAST_LOCKFILEEX'] ?? '';
const reason = existsSync(program)
  ? null
  : 'needs Windows and the program built from lockfileex.c, which npm run test:windows makes';

const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill();
  children.clear();
});

function attempt(path: string, mode: string): string {
  return execFileSync(program, [path, mode], { encoding: 'utf8' }).trim();
}

async function holdElsewhere(path: string, mode: string): Promise<ChildProcess> {
  const child = spawn(program, [path, mode, 'hold'], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  const [said] = await once(child.stdout, 'data');
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
  ([ours, theirs, outcome], context) => {
    if (reason !== null) context.skip(reason);
    const held = tryLock(temporaryResource(), { mode: ours });
    expect(attempt(held?.lockPath ?? '', theirs)).toBe(outcome);
    held?.release();
    expect(attempt(held?.lockPath ?? '', theirs)).toBe('held');
  },
);

test('a lock on the whole file keeps ours out until its program dies', async (context) => {
  if (reason !== null) context.skip(reason);
  const resource = temporaryResource();
  const child = await holdElsewhere(`${resource}.flock`, 'exclusive');
  expect(tryLock(resource)).toBeNull();
  const waiting = lock(resource, { timeout: 15_000 });
  child.kill();
  (await waiting).release();
});

test('the record of a held lock can be read by others', (context) => {
  if (reason !== null) context.skip(reason);
  const held = tryLock(temporaryResource(), { label: 'readable' });
  expect(readFileSync(held?.lockPath ?? '', 'utf8')).toContain('"label":"readable"');
  held?.release();
});
