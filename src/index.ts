export {
  LockDeadlockError,
  LockError,
  LockExpiredError,
  LockLostError,
  LockTimeoutError,
} from './errors.js';
export { FileLock } from './file-lock.js';
export { flock } from './flock.js';
export { type GuardOptions, guardProcess } from './guard-process.js';
export { type HeldLock, heldLocks, releaseAll } from './held-locks.js';
export type { HolderRecord } from './holder-record.js';
export { type InspectOptions, inspect, type LockStatus } from './inspect.js';
export { reclaimLeaked } from './leak-check.js';
export { lock, lockSync, tryLock } from './lock.js';
export type { LockHolder, Whereabouts } from './lock-holder.js';
export { openScope } from './open-scope.js';
export type { LockMode, LockOptions, LockSyncOptions, TryLockOptions } from './options.js';
export { printable } from './printable.js';
export { type LockScope, withLock } from './with-lock.js';
