import {
  absolute,
  assertObject,
  boolean,
  duration,
  invalid,
  toPath,
  unusable,
} from './arguments.js';
import { cut } from './holder-record.js';
import { type RequestDetails, requestFlags } from './native.js';

/** How a lock is held: by one holder alone, or together with other shared ones. */
export type LockMode = 'exclusive' | 'shared';

/** What `tryLock` can be told. */
export interface TryLockOptions {
  /** Default `'exclusive'`. */
  mode?: LockMode | undefined;
  /**
   * The longest time between renewals, in ms: a native watchdog takes the lock away from a holder
   * that does not call `renew()` in time, even while its event loop is blocked. Default: none.
   */
  lease?: number | undefined;
  /**
   * Held for longer than this many ms, the lock makes its own thread check, by a garbage collection,
   * that the scope still exists: again at doubling ages, and all threads of a process together at
   * most once a minute, in turn. Default: never.
   */
  leakCheck?: number | undefined;
  /** What the lock is for, shown to whoever waits. At most 198 bytes of its JSON are kept. */
  label?: string | undefined;
  /** The exact lock file, instead of `<resource>.flock`. */
  lockPath?: string | undefined;
  /** Permissions of a new lock file, whatever the umask. Default `0o600`: whoever may open it may hold it. */
  fileMode?: number | undefined;
  /** Whether the holder record is written into the lock file. Default true; false never writes. */
  record?: boolean | undefined;
  /** The fencing token starts above this, so that a store survives a deleted lock file. Default 0n. */
  minToken?: bigint | undefined;
  /** Keep the stack of the taker for the warning about a leaked lock. Default false: it costs some µs. */
  captureStack?: boolean | undefined;
}

/** What `lockSync` can be told. */
export interface LockSyncOptions extends TryLockOptions {
  /** How long to wait, in ms. Default `Infinity`; 0 makes one attempt. */
  timeout?: number | undefined;
}

/** What `lock` and `withLock` can be told. */
export interface LockOptions extends LockSyncOptions {
  /** Ends the wait: the promise rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /**
   * Whether the async context that holds the lock may take it again, counted, until the outermost
   * release. Default false: that is a `LockDeadlockError`, because it would wait for itself.
   */
  reentrant?: boolean | undefined;
}

/** A validated request for a lock. */
export interface LockRequest {
  readonly resource: string;
  readonly lockPath: string;
  readonly mode: LockMode;
  readonly flags: number;
  readonly details: RequestDetails | [];
  readonly label: string | null;
  readonly lease: number;
  readonly leakCheck: number;
  /** Of the call that asks for the lock, where it is to be kept. */
  readonly stack: string | null;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly reentrant: boolean;
  /** Whether the holder record is read and written. */
  readonly recorded: boolean;
  /** Whether opening and locking may take long and must leave the event loop. */
  readonly remote: boolean;
}

/** How the names of lock files end. */
export const suffix = '.flock';
// The record of 512 bytes has other members too.
const mostLabelBytes = 198;
const noDetails: [] = [];

const known: Record<keyof LockOptions, true> = {
  mode: true,
  timeout: true,
  signal: true,
  lease: true,
  leakCheck: true,
  label: true,
  reentrant: true,
  lockPath: true,
  fileMode: true,
  record: true,
  minToken: true,
  captureStack: true,
};

// A misspelled timeout would be a wait without end, and a misspelled lease none.
function assertKnown(options: LockOptions): void {
  for (const name in options) {
    if (!(name in known) && options[name as keyof LockOptions] !== undefined) {
      throw unusable(`there is no option ${name}: there are ${Object.keys(known).join(', ')}`);
    }
  }
}

function toMode(value: unknown): LockMode {
  if (value !== 'exclusive' && value !== 'shared')
    throw invalid('mode', "'exclusive' or 'shared'", value);
  return value;
}

function toPermissions(value: unknown): number {
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > 0o777) {
    throw invalid('fileMode', 'a number from 0 to 0o777', value);
  }
  return value as number;
}

function toLabel(value: unknown): string {
  if (typeof value !== 'string') throw invalid('label', 'a string', value);
  return cut(value, mostLabelBytes);
}

function toMinToken(value: unknown): bigint {
  if (typeof value !== 'bigint' || value < 0n || value >= 2n ** 63n) {
    throw invalid('minToken', 'a bigint from 0n to 2n ** 63n - 1n', value);
  }
  return value;
}

function toSignal(value: unknown): AbortSignal {
  if (!(value instanceof AbortSignal)) throw invalid('signal', 'an AbortSignal', value);
  return value;
}

function flagsFor(mode: LockMode, record: boolean, permissions: number): number {
  return (
    (mode === 'exclusive' ? requestFlags.exclusive : 0) |
    (record ? requestFlags.record : 0) |
    (permissions << requestFlags.permissionsShift)
  );
}

const defaultFlags = flagsFor('exclusive', true, 0o600);

let latest: LockRequest | undefined;

function plainRequest(path: string): LockRequest {
  const whole = absolute(path);
  const request: LockRequest = {
    resource: path,
    lockPath: whole + suffix,
    mode: 'exclusive',
    flags: defaultFlags,
    details: noDetails,
    label: null,
    lease: 0,
    leakCheck: 0,
    stack: null,
    timeout: Number.POSITIVE_INFINITY,
    signal: undefined,
    reentrant: false,
    recorded: true,
    remote: false,
  };
  // Whoever is busy with locks asks for the same one again and again: all those who wait for it share
  // this, and no string has to be flattened and hashed anew. A relative path may change its meaning.
  if (whole === path) latest = request;
  return request;
}

type Entry = (...args: never[]) => unknown;

// Now, because whoever has waited is granted the lock from elsewhere.
function stackAt(entry: Entry): string | null {
  const taken = new Error('taken here');
  Error.captureStackTrace(taken, entry);
  return taken.stack ?? null;
}

/**
 * Validates what a caller gave to the function `entry`, whose caller comes first in a stack; throws
 * `TypeError` with `ERR_INVALID_ARG_VALUE` for what it cannot use.
 */
export function toRequest(
  resource: string | URL,
  options?: LockOptions,
  entry: Entry = toRequest,
): LockRequest {
  const plain =
    latest !== undefined && resource === latest.resource
      ? latest
      : plainRequest(toPath('resource', resource));
  if (options === undefined) return plain;
  assertObject('options', options);
  assertKnown(options);
  const { mode = 'exclusive', record = true, fileMode = 0o600, lease, label, minToken } = options;
  const ownLabel = label === undefined ? null : toLabel(label);
  const given = lease === undefined ? 0 : toLease(lease);
  // Without end is as good as none.
  const ownLease = given === Number.POSITIVE_INFINITY ? 0 : given;
  const detailed = ownLabel !== null || ownLease > 0 || minToken !== undefined;
  return {
    resource: plain.resource,
    lockPath:
      options.lockPath === undefined
        ? plain.lockPath
        : absolute(toPath('lockPath', options.lockPath)),
    mode: toMode(mode),
    flags:
      flagsFor(mode, boolean('record', record), toPermissions(fileMode)) |
      (options.lockPath === undefined ? 0 : requestFlags.named),
    details: detailed
      ? [
          JSON.stringify(ownLabel),
          Math.ceil(Math.min(ownLease, longestLease)),
          minToken === undefined ? 0n : toMinToken(minToken),
        ]
      : noDetails,
    label: ownLabel,
    lease: ownLease,
    leakCheck:
      options.leakCheck === undefined
        ? 0
        : duration('leakCheck', options.leakCheck, Number.MIN_VALUE),
    stack: boolean('captureStack', options.captureStack ?? false) ? stackAt(entry) : null,
    timeout:
      options.timeout === undefined
        ? Number.POSITIVE_INFINITY
        : duration('timeout', options.timeout, 0),
    signal: options.signal === undefined ? undefined : toSignal(options.signal),
    reentrant: boolean('reentrant', options.reentrant ?? false),
    recorded: record,
    remote: false,
  };
}

/** In ms, 24 days: a longer timer of Node fires at once. */
export const longestTimer = 2 ** 31 - 1;

/** In ms, thirty years: what the native clock can add up. */
export const longestLease = 1e12;

/** Validates a lease. */
export function toLease(value: number): number {
  return duration('lease', value, Number.MIN_VALUE);
}
