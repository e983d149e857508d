import { LockExpiredError, LockLostError } from './errors.js';
import type { Hold } from './hold.js';
import type { Loss, LossCause } from './owners.js';

export function lostError(message: string, hold: Hold, cause?: unknown): LockLostError {
  const { resource, lockPath } = hold;
  return new LockLostError(message, { resource, lockPath, cause });
}

/** Has a signal tell the loss. Here, so that it is no closure over the lock. */
export function abortWith(controller: AbortController): Loss {
  return (error) => controller.abort(error);
}

/** What those are told who lose this hold. */
export function lossFrom(cause: LossCause, hold: Hold): LockLostError {
  const { resource, lockPath, lease } = hold;
  if (cause === 'lease') {
    return new LockExpiredError(
      `the lease of ${lease} ms on ${resource} ran out before it was renewed`,
      { resource, lockPath },
    );
  }
  return cause === 'releaseAll'
    ? lostError(`releaseAll() took the lock on ${resource}`, hold)
    : cause;
}
