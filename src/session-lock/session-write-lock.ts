import { type FileLock, openScope } from '../index.js';
import { defaultStaleMs, positiveMs, sessionMaxHold, sessionTimeout } from './durations.js';
import { SessionLockTimeoutError } from './errors.js';
import { asyncDispose, letGo, take, type Wanted } from './wanted.js';

/** What `acquireSessionWriteLock` can be told. */
export interface SessionWriteLockParams {
  /** The file to guard; its folder is created where there is none. */
  sessionFile: string;
  /** How long to wait, in ms, in the order of arrival. Default 10,000; `Infinity` waits for ever. */
  timeoutMs?: number | undefined;
  /**
   * The age of the lock in ms at which its own process checks, by a garbage collection, that the task
   * that took it still exists. Default 1,800,000. Never a reason to take it from somebody who lives.
   */
  staleMs?: number | undefined;
  /** The longest time to hold it, in ms; then it is taken away. Default 300,000. */
  maxHoldMs?: number | undefined;
  /** Whether whoever holds it may lock it again. Default true; false waits like anybody else. */
  allowReentrant?: boolean | undefined;
  /** What the lock is for, shown to whoever waits. */
  label?: string | undefined;
  /** Ends the wait: the promise rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /**
   * Take the O_EXCL file `<file>.lock` as well, so that programs that know only that one and those
   * that know this lock exclude each other while both run. Default false.
   */
  legacy?: boolean | undefined;
}

/** A session's lock, to be released by hand. */
export interface SessionWriteLock extends AsyncDisposable {
  /** The lock, for `assertHeld()`, `signal` and `token`. */
  readonly lock: FileLock;
  /** Lets go of it. Counts once; does nothing when the lock was lost. */
  release(): Promise<void>;
}

function wantedOf(params: SessionWriteLockParams): Wanted {
  return {
    file: params.sessionFile,
    timeoutMs: sessionTimeout(params.timeoutMs),
    maxHoldMs: sessionMaxHold(params.maxHoldMs),
    staleMs: positiveMs(params.staleMs, defaultStaleMs),
    reentrant: params.allowReentrant ?? true,
    label: params.label,
    signal: params.signal,
    legacy: params.legacy ?? false,
    busy: (_file, details) => new SessionLockTimeoutError(details),
  };
}

/**
 * Locks a session's file until `release()`. The function that awaits this, and what it starts then,
 * may lock the file again (`allowReentrant`); tasks beside it wait.
 *
 * A number of ms that is not above 0 counts as its default.
 *
 * @throws {SessionLockTimeoutError} (`file_lock_timeout`, reason `session_busy`) when `timeoutMs` is
 *   over.
 * @throws `signal.reason` when the signal aborts while it waits, or has aborted.
 * @throws {TypeError} (`ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`) for arguments it cannot use.
 * @throws {LockError} (`ERR_LOCK_FOREIGN_FILE`, `ERR_LOCK_NOT_REGULAR`) when the lock file is not one.
 * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when the operating system refuses.
 *
 * @example One turn of a chat
 * ```ts
 * import { acquireSessionWriteLock } from 'holdfast/session-lock';
 * import { jsonlStore } from 'holdfast/json-store';
 *
 * const session = await acquireSessionWriteLock({ sessionFile: 'sessions/a.jsonl' });
 * try {
 *   await jsonlStore('sessions/a.jsonl').append({ role: 'user' });
 * } finally {
 *   await session.release();
 * }
 * ```
 */
export function acquireSessionWriteLock(params: SessionWriteLockParams): Promise<SessionWriteLock> {
  const taken = Promise.resolve().then(() => take(wantedOf(params)));
  return openScope(taken).then((lock) => {
    const release = async () => letGo(lock);
    return { lock, release, [asyncDispose]: release };
  });
}
