import { type BigIntStats, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { freshKernelLocks, KernelLocks } from '../src/proc-locks.js';

const stats = statSync('.', { bigint: true });

/** What is known of the file of `stats` when the kernel shows this of it. */
function view(...lines: string[]) {
  const { file } = new KernelLocks('').about(null, stats);
  const text = lines.map((line, index) => `${index + 1}: ${line.replace('FILE', file)}\n`).join('');
  return new KernelLocks(text).about(null, stats);
}

const exclusive = 'FLOCK  ADVISORY  WRITE 11 FILE 0 EOF';
const shared = 'FLOCK  ADVISORY  READ 11 FILE 0 EOF';
const first = '-> FLOCK  ADVISORY  WRITE 12 FILE 0 EOF';
const queue = 'OFDLCK ADVISORY  WRITE -1 FILE 9223372036854775792 9223372036854775792';

test('holders and waiters are counted, those in the turnstile among them', () => {
  const { holders, waiters } = view(exclusive, first, queue, `-> ${queue}`, `-> ${queue}`);
  expect(holders).toEqual([{ pid: 11, mode: 'exclusive' }]);
  expect(waiters).toBe(3);
});

// Seen where many locks come and go: one of them begins while the kernel shows the next page.
test('a lock that the kernel shows twice is one lock, and its waiters wait once', () => {
  const one = view(exclusive, first, queue, `-> ${queue}`, queue, `-> ${queue}`, `-> ${queue}`);
  expect(one.waiters).toBe(3);
  const other = view(exclusive, first, exclusive, first, queue);
  expect(other.holders).toHaveLength(1);
  expect(other.waiters).toBe(1);
});

test('two shared locks of one process are two', () => {
  expect(view(shared, shared).holders).toHaveLength(2);
});

test.each([
  [0xfe02n, 'fe:02:77'],
  [0x678abc9an, 'abc:6789a:77'],
])('file 77 of device %d is %s in /proc/locks', (dev, name) => {
  const { file } = new KernelLocks('').about(null, { ...stats, dev, ino: 77n } as BigIntStats);
  expect(file).toBe(name);
});

test('a file that nobody locks has no holders, and nobody waits for it', () => {
  expect(view('FLOCK  ADVISORY  WRITE 11 00:00:1 0 EOF')).toMatchObject({
    holders: [],
    waiters: 0,
  });
});

test('those who look in the same turn of the event loop share a reading, and nobody after it', async () => {
  const reading = freshKernelLocks();
  expect(freshKernelLocks()).toBe(reading);
  await reading;
  expect(freshKernelLocks()).not.toBe(reading);
});
