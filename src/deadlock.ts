import { LockDeadlockError } from './errors.js';
import { ageOf, type Hold } from './hold.js';
import type { LockRequest } from './options.js';
import { printable } from './printable.js';
import { allQueues } from './queue-names.js';
import type { WaitQueue } from './wait-queue.js';
import type { Waiter } from './waiter.js';

function place({ resource, label }: Hold): string {
  return label === null ? resource : `${resource} ("${printable(label)}")`;
}

function wanted({ mode, resource, label }: LockRequest): string {
  return `${mode} ${resource}${label === null ? '' : ` for "${printable(label)}"`}`;
}

function held(hold: Hold): string {
  const age = (ageOf(hold) / 1000).toFixed(1);
  return `holds it, ${hold.mode}, since ${age} s as ${place(hold)}`;
}

/** The error for a request by a scope that holds the same lock already. */
export function selfDeadlock(request: LockRequest, hold: Hold): LockDeadlockError {
  const remedy =
    hold.mode === 'exclusive'
      ? 'Use reentrant: true to nest.'
      : 'Release that one first, or take it exclusively from the start.';
  return new LockDeadlockError(
    `waiting for ${wanted(request)} would never end: the same async context ${held(hold)}. ${remedy}`,
    request,
  );
}

const advice =
  'withLock() and openScope() see at once that a task waits for itself, and a timeout ends that.';

/** The error for a wait for a holder of this thread, when the thread has nothing else left to do. */
export function idleDeadlock(request: LockRequest, hold: Hold): LockDeadlockError {
  return new LockDeadlockError(
    `waiting for ${wanted(request)} would never end: this thread ${held(hold)}, ` +
      `and has nothing left to do that could release it; ${advice}`,
    request,
  );
}

/** The warning about a wait that may be that of a task for itself. */
export function longWaitText(request: LockRequest, hold: Hold): string {
  return (
    `a task has been waiting for ${wanted(request)} without a timeout, and this thread ${held(hold)}. ` +
    `If they are the same task, this never ends; ${advice} This is said once.`
  );
}

/** A wait without end: for sharers, too, if it is for exclusive use or behind such a wait. */
interface EndlessWait {
  readonly queue: WaitQueue;
  readonly forSharers: boolean;
}

function isEndlessForExclusive({ bounded, request }: Waiter): boolean {
  return !bounded && request.mode === 'exclusive';
}

/** What a scope that holds this lock is waiting for without end. */
function* waitsOf(hold: Hold): Generator<EndlessWait> {
  for (const queue of allQueues()) {
    let forSharers = false;
    for (const waiter of queue.waiters) {
      forSharers ||= isEndlessForExclusive(waiter);
      if (!waiter.bounded && waiter.holding.includes(hold)) yield { queue, forSharers };
    }
  }
}

function findCycle(
  { queue, forSharers }: EndlessWait,
  mine: readonly Hold[],
  visited: Set<Hold>,
): Hold[] | undefined {
  for (const hold of queue.holds) {
    if (hold.mode === 'shared' && !forSharers) continue;
    if (mine.includes(hold)) return [hold];
    if (visited.has(hold)) continue;
    visited.add(hold);
    for (const wait of waitsOf(hold)) {
      const rest = findCycle(wait, mine, visited);
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
  const forSharers = request.mode === 'exclusive' || [...queue.waiters].some(isEndlessForExclusive);
  const cycle = findCycle({ queue, forSharers }, mine, new Set());
  if (cycle === undefined) return undefined;
  const steps = cycle.map(place).join(', whose holder waits for ');
  return new LockDeadlockError(
    `waiting for ${request.resource} would never end: it waits for ${steps}, which the waiting scope holds. ` +
      `Take locks in the same order everywhere.`,
    request,
  );
}
