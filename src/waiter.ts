import type { Hold, LockFile } from './lock-file.js';
import type { LockRequest } from './options.js';

/** Somebody of this thread who waits for a lock. */
export interface Waiter {
  readonly request: LockRequest;
  /** What its async context holds meanwhile, if anything. */
  readonly holding: readonly Hold[];
  /** Whether the wait ends by itself, so that it cannot be part of a deadlock. */
  readonly bounded: boolean;
  /** Makes the wait keep the process alive, if it did not already. */
  keepAlive(): void;
  grant(file: LockFile): void;
  fail(error: Error): void;
}
