import { channel, tracingChannel } from 'node:diagnostics_channel';
import type { Hold } from './lock-file.js';

/** What subscribers of `tracing:holdfast:wait:*` receive; `error` is set where the wait failed. */
export interface WaitTrace {
  readonly resource: string;
  readonly lockPath: string;
  readonly mode: string;
  readonly label: string | null;
  error?: unknown;
}

const waits = tracingChannel<WaitTrace>('holdfast:wait');
const holds = tracingChannel<Hold>('holdfast:hold');
const expiries = channel('holdfast:expire');
const leaks = channel('holdfast:leak');

/** Says that a wait began; call `traceWaitEnd` with what this returns. */
export function traceWait(trace: WaitTrace): void {
  if (waits.start.hasSubscribers) waits.start.publish(trace);
}

export function traceWaitEnd(trace: WaitTrace, error?: unknown): void {
  if (error !== undefined && waits.error.hasSubscribers) waits.error.publish({ ...trace, error });
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
