import { printable } from '../index.js';

/** What the errors of a wait that was too long know. */
export interface BusyDetails {
  /** How long it waited at most, in ms. */
  timeoutMs: number;
  /** The lock file that was held. */
  lockPath: string;
  /** Who holds it, as `pid=123`, or `unknown`. */
  owner: string;
  /** The error of the lock itself, with all that is known of the holder. */
  cause: unknown;
}

/** The code of both errors here, under the name by which call sites compare it. */
export const FILE_LOCK_TIMEOUT_ERROR_CODE = 'file_lock_timeout';

/** The file's lock was not granted in time (`file_lock_timeout`). */
export class FileLockTimeoutError extends Error {
  override readonly name: string = 'FileLockTimeoutError';
  readonly code = FILE_LOCK_TIMEOUT_ERROR_CODE;
  /** How long it waited at most, in ms. */
  readonly timeoutMs: number;
  /** The lock file that was held. */
  readonly lockPath: string;
  /** Who holds it, as `pid=123`, or `unknown`. */
  readonly owner: string;

  constructor(message: string, details: BusyDetails) {
    super(printable(message), { cause: details.cause });
    this.timeoutMs = details.timeoutMs;
    this.lockPath = details.lockPath;
    this.owner = details.owner;
  }
}

/** The session's lock was not granted in time (`file_lock_timeout`, reason `session_busy`). */
export class SessionLockTimeoutError extends FileLockTimeoutError {
  override readonly name = 'SessionLockTimeoutError';
  readonly reason = 'session_busy';

  constructor(details: BusyDetails) {
    const { timeoutMs, owner, lockPath } = details;
    super(`session file locked (timeout ${timeoutMs}ms): ${owner} ${lockPath}`, details);
  }
}
