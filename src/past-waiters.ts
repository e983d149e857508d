import { LockFile } from './lock-file.js';
import { status } from './native.js';
import type { LockRequest } from './options.js';
import { allQueues } from './queue-names.js';
import type { Waiter } from './waiter.js';

// The first of all who wait, in whatever process, keeps the others out until it has had the lock: one that
// is stopped (SIGSTOP, Ctrl-Z, a debugger) would keep from everybody what nobody has. So whoever has
// waited for long tries to take the lock past it.

// In ms: a process that has not taken in that time what came free is not merely slow to wake up. And
// short waits again and again would pass all who wait patiently.
const patienceMs = 1_000;

// A wait costs nothing meanwhile. Two looks see the same one, so it passes after 10 to 20 s.
const lookIntervalMs = 10_000;

/** Whether a wait is long enough for a try at its end. */
export function isPatient({ timeout }: LockRequest): boolean {
  return timeout >= patienceMs;
}

/** Takes the lock past all who wait for it, if nobody has it. */
export function takePast(request: LockRequest): LockFile | undefined {
  const file = LockFile.take();
  if (file.tryPast(request) === status.done) return file;
  // Whatever else came of it, the wait will find as well, if it goes on.
  file.letGo();
  return undefined;
}

let looking = false;
const seen = new WeakSet<Waiter>();

/** Has waits for other processes that last long try, those without a limit among them. */
export function lookPastLater(): void {
  if (looking) return;
  looking = true;
  // In a test environment such as jsdom a timer is a number.
  setTimeout(look, lookIntervalMs).unref?.();
}

function look(): void {
  looking = false;
  for (const queue of [...allQueues()]) {
    const waiter = queue.outsider;
    if (waiter === undefined) continue;
    if (seen.has(waiter)) queue.pass(waiter);
    else seen.add(waiter);
    lookPastLater();
  }
}

/**
 * Blocks this thread until the wait of this file has ended, and answers that file, or the one that it
 * took past all who wait, or nothing when the time is over.
 */
export function waitOrPass(
  file: LockFile,
  milliseconds: number,
  request: LockRequest,
): LockFile | undefined {
  // Counted down, because the clock may be the fake one of a test, and stand still.
  for (let left = milliseconds; ; left -= lookIntervalMs) {
    if (file.waitFor(Math.min(left, lookIntervalMs)) === status.done) return file;
    const passing = isPatient(request) ? takePast(request) : undefined;
    if (passing !== undefined || left <= lookIntervalMs) return passing;
  }
}
