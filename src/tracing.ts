import { channel, tracingChannel } from 'node:diagnostics_channel';
import { findHolders } from './find-holders.js';
import type { Hold } from './hold.js';
import type { LockHolder } from './lock-holder.js';
import type { LockRequest } from './options.js';

/** What subscribers of `tracing:holdfast:wait:*` receive; `error` is set where the wait failed. */
export class WaitTrace {
  readonly resource: string;
  readonly lockPath: string;
  readonly mode: string;
  /** What the waiter wants it for. */
  readonly label: string | null;
  error?: unknown;

  constructor({ resource, lockPath, mode, label }: LockRequest) {
    this.resource = resource;
    this.lockPath = lockPath;
    this.mode = mode;
    this.label = label;
  }

  /** Who holds the lock, as far as can be told; looked for when it is read, which takes up to some ms. */
  get holder(): LockHolder | null {
    return findHolders(this.lockPath, true)[0] ?? null;
  }
}

const waits = tracingChannel<WaitTrace>('holdfast:wait');
const holds = tracingChannel<Hold>('holdfast:hold');
const expiries = channel('holdfast:expire');
const leaks = channel('holdfast:leak');

/** The message about a wait, if anybody is to get one: say it with `traceWait`, and end it with `traceWaitEnd`. */
export function messageOf(request: LockRequest): WaitTrace | undefined {
  return waits.start.hasSubscribers ? new WaitTrace(request) : undefined;
}

/** Says that a wait began. Whoever is told may end it at once. */
export function traceWait(started: WaitTrace): void {
  waits.start.publish(started);
}

export function traceWaitEnd(
  started: WaitTrace | undefined,
  request: LockRequest,
  error?: unknown,
): void {
  const failed = error !== undefined;
  // Whoever kept the message of the start may look at it without a subscription to the end.
  if (failed && started !== undefined) started.error = error;
  if (!waits.asyncEnd.hasSubscribers && !(failed && waits.error.hasSubscribers)) return;
  const trace = started ?? new WaitTrace(request);
  if (failed) trace.error = error;
  if (failed && waits.error.hasSubscribers) waits.error.publish(trace);
  if (waits.asyncEnd.hasSubscribers) waits.asyncEnd.publish(trace);
}

export function traceHold(hold: Hold): void {
  if (holds.start.hasSubscribers) holds.start.publish(hold);
}

export function traceRelease(hold: Hold): void {
  if (holds.asyncEnd.hasSubscribers) holds.asyncEnd.publish(hold);
}

export function traceExpire(hold: Hold): void {
  if (expiries.hasSubscribers) expiries.publish(hold);
}

export function traceLeak(hold: Hold): void {
  if (leaks.hasSubscribers) leaks.publish(hold);
}
