export {
  type CleanParams,
  cleanStaleLockFiles,
  inspectSessionLocks,
  type SessionLockInspection,
  type SessionLocks,
} from './clean-stale.js';
export { type RetryOptions, resolveSessionLockMaxHoldFromTimeout } from './durations.js';
export {
  type BusyDetails,
  FILE_LOCK_TIMEOUT_ERROR_CODE,
  FileLockTimeoutError,
  SessionLockTimeoutError,
} from './errors.js';
export {
  acquireFileLock,
  type FileLockHandle,
  type FileLockOptions,
  withFileLock,
} from './file-lock.js';
export {
  acquireSessionWriteLock,
  type SessionWriteLock,
  type SessionWriteLockParams,
} from './session-write-lock.js';
