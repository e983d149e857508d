import { setImmediate } from 'node:timers';
import { idleDeadlock, longWaitText } from './deadlock.js';
import { type Hold, isEndless } from './hold.js';
import { reclaimLeaked } from './leak-check.js';
import { NestedQueue } from './nested-queue.js';
import type { LockRequest } from './options.js';
import { allQueues } from './queue-names.js';
import type { Waiter } from './waiter.js';

// Two looks see the same wait, so it is warned of after 5 to 10 s.
const lookIntervalMs = 5_000;

let watching = false;
let looking = false;
let warned = false;
const seen = new WeakSet<SomeWaiter>();
const idled = new WeakSet<SomeWaiter>();

type SomeWaiter = Pick<Waiter, 'request' | 'keepAlive' | 'reject'>;

/** A wait for a holder of this thread; `hold` where only that one can end it, by its release. */
interface LocalWait {
  readonly waiter: SomeWaiter;
  readonly hold: Hold | undefined;
  leave(): void;
}

interface StuckWait extends LocalWait {
  readonly hold: Hold;
}

/** Whether nobody but those who hold the lock can end a wait for it. */
export function isUnlimited({ timeout, signal }: LockRequest): boolean {
  return timeout === Number.POSITIVE_INFINITY && signal === undefined;
}

function* localWaits(): Generator<LocalWait> {
  for (const queue of allQueues()) {
    const hold = queue.endlessHold;
    for (const waiter of queue.waiters) yield { waiter, hold, leave: () => queue.leave(waiter) };
  }
  for (const queue of NestedQueue.waited()) {
    const hold = isEndless(queue.hold) ? queue.hold : undefined;
    for (const waiter of queue.waiters) yield { waiter, hold, leave: () => queue.leave(waiter) };
  }
}

function isStuck(wait: LocalWait): wait is StuckWait {
  return wait.hold !== undefined && isUnlimited(wait.waiter.request);
}

/**
 * Watches waits without a limit, for holders of this thread now or later: one that took its lock with plain
 * `lock()` may be the very task that waits. That cannot be told from a task that merely queues, but
 * when this thread has nothing else left to do, nobody will ever release.
 */
export function watchStuckWaits(): void {
  if (watching) return;
  watching = true;
  process.on('beforeExit', onIdle);
}

/** Call it when somebody waits for a holder of this thread: a wait for anybody else wakes nobody up. */
export function lookForStuckWaits(): void {
  if (looking || warned) return;
  looking = true;
  // In a test environment such as jsdom a timer is a number.
  setTimeout(look, lookIntervalMs).unref?.();
}

function look(): void {
  looking = false;
  const stuck = [...localWaits()].filter(isStuck);
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
    lookForStuckWaits();
  }
}

/** The event loop has run empty. Such waits did not keep it alive; those that are none any more have to. */
function onIdle(): void {
  const waits = [...localWaits()];
  for (const { waiter, hold } of waits) if (hold === undefined) waiter.keepAlive();
  const last = waits.filter(isStuck).at(-1);
  if (last === undefined) return;
  const { waiter, hold } = last;
  if (!idled.has(waiter)) {
    // A leaked holder is the better explanation, and frees the lock. The loop runs empty again then.
    idled.add(waiter);
    void reclaimLeaked();
    return;
  }
  last.leave();
  waiter.reject(idleDeadlock(waiter.request, hold));
  // There may be another one, and whoever was told may still do something.
  setImmediate(() => {});
}
