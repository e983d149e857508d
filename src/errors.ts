import { inspect } from 'node:util';
import type { LockHolder } from './lock-holder.js';
import { printable } from './printable.js';

/** What every error of this library knows about the lock it speaks of. */
export interface LockErrorDetails {
  /** The path that was to be guarded, as the caller gave it. */
  resource: string;
  /** The lock file. */
  lockPath: string;
  /** Who holds the lock, as far as can be told; for people, never to act upon. */
  holder?: LockHolder | null;
  /** The error that led to this one. */
  cause?: unknown;
}

/**
 * The common class of this library's errors. Failures of the operating system are not among them:
 * they keep Node's own shape (`code`, `errno`, `syscall`, `path`).
 */
export class LockError extends Error {
  override readonly name: string = 'LockError';
  /**
   * A stable identifier, to be compared instead of the message. Of a plain `LockError` it is
   * `ERR_LOCK_NOT_REGULAR` (no regular file is at the lock path) or `ERR_LOCK_FOREIGN_FILE` (the file has
   * content of somebody else).
   */
  readonly code: string;
  /** The path that was to be guarded, as the caller gave it. */
  readonly resource: string;
  /** The lock file. */
  readonly lockPath: string;
  /** Who holds the lock, as far as can be told. */
  readonly holder: LockHolder | null;

  constructor(code: string, message: string, details: LockErrorDetails) {
    super(printable(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.resource = details.resource;
    this.lockPath = details.lockPath;
    this.holder = details.holder ?? null;
  }
}

/** A few words about whatever was thrown, which need not be an error, nor convertible to a string. */
export function describeThrown(thrown: unknown): string {
  try {
    return thrown instanceof Error ? String(thrown) : inspect(thrown, { depth: 0 });
  } catch {
    return 'a value that cannot be shown';
  }
}

/** The lock was not granted within `timeout`; the message says who holds it (`ERR_LOCK_TIMEOUT`). */
export class LockTimeoutError extends LockError {
  override readonly name = 'LockTimeoutError';

  constructor(message: string, details: LockErrorDetails) {
    super('ERR_LOCK_TIMEOUT', message, details);
  }
}

/** The lock is not held any more although its holder did not release it (`ERR_LOCK_LOST`). */
export class LockLostError extends LockError {
  override readonly name: string = 'LockLostError';

  constructor(message: string, details: LockErrorDetails, code = 'ERR_LOCK_LOST') {
    super(code, message, details);
  }
}

/** The lease ran out before it was renewed, so the lock was taken away (`ERR_LOCK_EXPIRED`). */
export class LockExpiredError extends LockLostError {
  override readonly name = 'LockExpiredError';

  constructor(message: string, details: LockErrorDetails) {
    super(message, details, 'ERR_LOCK_EXPIRED');
  }
}

/** Waiting could never end, because the holder is whoever would wait (`EDEADLK`). */
export class LockDeadlockError extends LockError {
  override readonly name = 'LockDeadlockError';

  constructor(message: string, details: LockErrorDetails) {
    super('EDEADLK', message, details);
  }
}
