import { LockExpiredError } from './errors.js';
import type { Hold } from './hold.js';
import { LockFile } from './lock-file.js';
import { listenToLease, status, unlisten } from './native.js';
import type { Loss, Owner } from './owners.js';
import { onLeak } from './remains.js';
import { traceExpire } from './tracing.js';

/**
 * What the end of a lease needs to know. It does not refer to the lock, so that a lease does not keep
 * a leaked one, but to all who wait for its loss: scopes that never settle, signals.
 */
interface Lease {
  readonly number: number;
  readonly losses: Set<readonly Loss[]>;
}

const leases = new Map<Hold, Lease>();

/** Starts or renews the lease of a hold: done, or contended when the lock is lost, or a failure. */
export function startLease(file: LockFile, hold: Hold, milliseconds: number): number {
  let lease = leases.get(hold);
  if (lease === undefined) {
    const losses = new Set(file.owners.all.map(({ onLost }) => onLost));
    lease = { number: listenToLease(() => expire(hold)), losses };
    leases.set(hold, lease);
  }
  const result = file.limit(milliseconds, lease.number);
  if (result === status.done) hold.lease = milliseconds;
  if (result < status.done) forgetLease(hold);
  return result;
}

/** Has somebody who nests in the hold told of the end of its lease, if it has one. */
export function joinLease(hold: Hold, { onLost }: Owner): void {
  leases.get(hold)?.losses.add(onLost);
}

export function leaveLease(hold: Hold, { onLost }: Owner): void {
  leases.get(hold)?.losses.delete(onLost);
}

/** Those who will be told of the end of the lease, also where they nested and were collected. */
export function lossesOf(hold: Hold): Iterable<readonly Loss[]> {
  return leases.get(hold)?.losses ?? [];
}

export function forgetLease(hold: Hold): void {
  const lease = leases.get(hold);
  if (lease === undefined) return;
  unlisten(lease.number);
  leases.delete(hold);
}

function expire(hold: Hold): void {
  if (hold.ended) return;
  const owner = LockFile.ownerOf(hold);
  if (owner !== undefined) owner.takeAway('lease');
  else traceExpire(hold);
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
  for (const onLost of lease.losses) {
    for (const listener of onLost) listener(error);
  }
});
