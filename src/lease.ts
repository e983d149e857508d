import { LockExpiredError, type LockLostError } from './errors.js';
import { type Hold, LockFile, onLeak } from './lock-file.js';
import { listen, status, unlisten } from './native.js';
import { traceExpire } from './tracing.js';

/** What is told that a lock is lost. */
export type Loss = (error: LockLostError) => void;

/**
 * What the end of a lease needs to know. It does not refer to the lock, so that a lease does not keep
 * a leaked one, but to whoever waits for the loss: a scope that never settles, a signal.
 */
interface Lease {
  readonly ticket: number;
  readonly onLost: readonly Loss[];
}

const leases = new Map<Hold, Lease>();

/** Starts or renews the lease of a hold: done, or contended when the lock is lost, or a failure. */
export function startLease(
  file: LockFile,
  hold: Hold,
  onLost: readonly Loss[],
  milliseconds: number,
): number {
  let lease = leases.get(hold);
  if (lease === undefined) {
    lease = { ticket: listen(() => expire(hold)), onLost };
    leases.set(hold, lease);
  }
  const result = file.limit(milliseconds, lease.ticket);
  if (result === status.done) hold.lease = milliseconds;
  if (result < status.done) forgetLease(hold);
  return result;
}

export function forgetLease(hold: Hold): void {
  const lease = leases.get(hold);
  if (lease === undefined) return;
  unlisten(lease.ticket);
  leases.delete(hold);
}

function expire(hold: Hold): void {
  if (hold.ended) return;
  traceExpire(hold);
  LockFile.ownerOf(hold)?.takeAway('lease');
}

// What was leaked will not be renewed: whoever waits for its scope need not wait for the lease to end.
onLeak((hold) => {
  const lease = leases.get(hold);
  forgetLease(hold);
  if (lease === undefined) return;
  const error = new LockExpiredError(
    `the lock on ${hold.resource} was leaked: nothing is left that could renew its lease`,
    hold,
  );
  for (const listener of lease.onLost) listener(error);
});
