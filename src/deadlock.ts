import { LockDeadlockError } from './errors.js';
import type { Hold } from './lock-file.js';
import type { LockRequest } from './options.js';
import { WaitQueue } from './wait-queue.js';

function place(hold: Hold): string {
  return hold.label === null ? hold.resource : `${hold.resource} ("${hold.label}")`;
}

/** The error for a request by a scope that holds the same lock already. */
export function selfDeadlock(request: LockRequest, hold: Hold): LockDeadlockError {
  const advice = request.mode === hold.mode ? ' Use reentrant: true to nest.' : '';
  const age = ((performance.now() - hold.since) / 1000).toFixed(1);
  const wanted = request.label === null ? '' : ` for "${request.label}"`;
  return new LockDeadlockError(
    `waiting for ${request.mode} ${request.resource}${wanted} would never end: the same async context holds it, ` +
      `${hold.mode}, since ${age} s as ${place(hold)}.${advice}`,
    request,
  );
}

/** What a scope that holds this lock is waiting for without end. */
function* queuesBlocking(hold: Hold): Generator<WaitQueue> {
  for (const queue of WaitQueue.all()) {
    for (const waiter of queue.waiters) {
      if (!waiter.bounded && waiter.holding.includes(hold)) {
        yield queue;
        break;
      }
    }
  }
}

function findCycle(
  queue: WaitQueue,
  mine: readonly Hold[],
  visited: Set<Hold>,
): Hold[] | undefined {
  for (const hold of queue.holds) {
    if (mine.includes(hold)) return [hold];
    if (visited.has(hold)) continue;
    visited.add(hold);
    for (const next of queuesBlocking(hold)) {
      const rest = findCycle(next, mine, visited);
      if (rest !== undefined) return [hold, ...rest];
    }
  }
  return undefined;
}

/**
 * The error for a wait that would close a cycle of scopes that wait for each other, else undefined.
 * Only scopes of this thread are seen; between processes the timeout has to end it.
 */
export function cycleDeadlock(
  request: LockRequest,
  queue: WaitQueue,
  mine: readonly Hold[],
): LockDeadlockError | undefined {
  if (mine.length === 0) return undefined;
  const cycle = findCycle(queue, mine, new Set());
  if (cycle === undefined) return undefined;
  const steps = cycle.map(place).join(', whose holder waits for ');
  return new LockDeadlockError(
    `waiting for ${request.resource} would never end: it waits for ${steps}, which the waiting scope holds. ` +
      `Take locks in the same order everywhere.`,
    request,
  );
}
