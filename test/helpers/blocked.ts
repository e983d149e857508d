import { existsSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { slowness } from './slowness.js';

/** Whether the kernel says who waits for a lock; elsewhere a waiter can only be given time. */
export const kernelShowsWaiters =
  existsSync('/proc/locks') && readFileSync('/proc/locks', 'utf8') !== undefined;

/** How many threads the kernel shows as blocked on this lock file. */
export function blockedOn(lockPath: string): number {
  const { ino } = statSync(lockPath);
  const lines = readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`:${ino} `));
  // What is shown twice counts once: the kernel shows a page at a time and finds its place by counting,
  // so a lock comes again, with its waiters, where another one was taken between two pages.
  const most = new Map<string, number>();
  let lock = '';
  let blocked = 0;
  for (const line of lines) {
    blocked = line.includes('->') ? blocked + 1 : 0;
    if (blocked === 0) lock = line.replace(/^\d+: */, '');
    most.set(lock, Math.max(most.get(lock) ?? 0, blocked));
  }
  return [...most.values()].reduce((sum, count) => sum + count, 0);
}

/** Waits until that many threads are blocked in the kernel on this lock file. */
export async function untilBlocked(lockPath: string, count: number): Promise<void> {
  if (!kernelShowsWaiters) {
    await sleep(200 * slowness);
    return;
  }
  while (blockedOn(lockPath) !== count) await sleep(2);
}
