import { existsSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { slowness } from './slowness.js';

/** Whether the kernel says who waits for a lock; elsewhere a waiter can only be given time. */
export const kernelShowsWaiters =
  existsSync('/proc/locks') && readFileSync('/proc/locks', 'utf8') !== undefined;

/** How many threads the kernel shows as blocked on this lock file. */
export function blockedOn(lockPath: string): number {
  const { ino } = statSync(lockPath);
  return readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .filter((line) => line.includes('->') && line.includes(`:${ino} `)).length;
}

/** Waits until that many threads are blocked in the kernel on this lock file. */
export async function untilBlocked(lockPath: string, count: number): Promise<void> {
  if (!kernelShowsWaiters) {
    await sleep(200 * slowness);
    return;
  }
  while (blockedOn(lockPath) !== count) await sleep(2);
}
