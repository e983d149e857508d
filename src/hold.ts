import { addon, grantedSince } from './native.js';
import type { NestedQueue } from './nested-queue.js';
import type { LockMode, LockRequest } from './options.js';

/**
 * What is known of one hold. Plain data on purpose: it may be kept by anyone (async contexts, the
 * registry of finalisers, diagnosis) without keeping the lock from being collected.
 */
export interface Hold {
  readonly resource: string;
  readonly lockPath: string;
  readonly mode: LockMode;
  readonly label: string | null;
  readonly leakCheck: number;
  /** In ms between renewals, 0 for none; one for all that nest in this hold. */
  lease: number;
  readonly stack: string | null;
  /** `addon.monotonicMs()` at the grant. */
  readonly since: number;
  /** Number of the lock file object, for a lookup that may fail. */
  readonly number: number;
  /** True from the moment that the lock was released, lost or found leaked. */
  ended: boolean;
  /** Whether its scope broke, so that the lock will be taken away soon. */
  broken: boolean;
  /** Those that nest in the outermost lock, from the first of them on. */
  nested: NestedQueue | undefined;
}

/** The hold that begins with the latest grant, to the lock file object with this number. */
export function newHold(request: LockRequest, number: number): Hold {
  const { resource, lockPath, mode, label, leakCheck, lease, stack } = request;
  return {
    resource,
    lockPath,
    mode,
    label,
    leakCheck,
    lease,
    stack,
    since: grantedSince(),
    number,
    ended: false,
    broken: false,
    nested: undefined,
  };
}

/** In ms; of a lock, or of one that nests in it. */
export function ageOf({ since }: Pick<Hold, 'since'>): number {
  return addon.monotonicMs() - since;
}

/** Whether no lease ends this hold. One that was renewed without end is as good as none. */
export function isUnleased({ lease }: Hold): boolean {
  return lease === 0 || lease === Number.POSITIVE_INFINITY;
}

/** Whether nothing but whoever holds it can end this hold. */
export function isEndless(hold: Hold): boolean {
  return isUnleased(hold) && !hold.broken;
}
