import { idleDeadlock, longWaitText } from './deadlock.js';
import { reclaimLeaked } from './leak-check.js';
import type { Hold } from './lock-file.js';
import type { LockRequest } from './options.js';
import { WaitQueue } from './wait-queue.js';
import type { Waiter } from './waiter.js';

// Two looks see the same wait, so it is warned of after 5 to 10 s.
const lookIntervalMs = 5_000;

let watching = false;
let looking = false;
let warned = false;
const seen = new WeakSet<Waiter>();
const idled = new WeakSet<Waiter>();

/** A wait that only a holder of this thread can end, by its release. */
interface StuckWait {
  readonly queue: WaitQueue;
  readonly waiter: Waiter;
  readonly hold: Hold;
}

/** Whether nobody but those who hold the lock can end a wait for it. */
export function isUnlimited({ timeout, signal }: LockRequest): boolean {
  return timeout === Number.POSITIVE_INFINITY && signal === undefined;
}

function* stuckWaits(): Generator<StuckWait> {
  for (const queue of WaitQueue.all()) {
    const hold = queue.endlessHold;
    if (hold === undefined) continue;
    for (const waiter of queue.waiters) {
      if (isUnlimited(waiter.request)) yield { queue, waiter, hold };
    }
  }
}

/**
 * Watches waits without a limit for holders of this thread: one that took its lock with plain
 * `lock()` may be the very task that waits. That cannot be told from a task that merely queues, but
 * when this thread has nothing else left to do, nobody will ever release.
 */
export function watchStuckWaits(): void {
  lookLater();
  if (watching) return;
  watching = true;
  process.on('beforeExit', onIdle);
}

function lookLater(): void {
  if (looking || warned) return;
  looking = true;
  setTimeout(look, lookIntervalMs).unref();
}

function look(): void {
  looking = false;
  const stuck = [...stuckWaits()];
  const long = stuck.find(({ waiter }) => seen.has(waiter));
  if (long !== undefined) {
    warned = true;
    process.emitWarning(longWaitText(long.waiter.request, long.hold), {
      type: 'LockWaitWarning',
      code: 'HOLDFAST_LONG_WAIT',
      detail: long.hold.stack ?? 'Set captureStack: true to see who took it.',
    });
  } else if (stuck.length > 0) {
    for (const { waiter } of stuck) seen.add(waiter);
    lookLater();
  }
}

/** The event loop has run empty. Such waits did not keep it alive; those that are none any more have to. */
function onIdle(): void {
  for (const queue of WaitQueue.all()) {
    if (queue.endlessHold !== undefined) continue;
    for (const waiter of queue.waiters) waiter.keepAlive();
  }
  const last = [...stuckWaits()].at(-1);
  if (last === undefined) return;
  const { queue, waiter, hold } = last;
  if (!idled.has(waiter)) {
    // A leaked holder is the better explanation, and frees the lock. The loop runs empty again then.
    idled.add(waiter);
    void reclaimLeaked();
    return;
  }
  queue.leave(waiter);
  waiter.reject(idleDeadlock(waiter.request, hold));
  // There may be another one, and whoever was told may still do something.
  setImmediate(() => {});
}
