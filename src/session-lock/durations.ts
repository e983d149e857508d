const defaultMaxHoldMs = 300_000;
const defaultGraceMs = 120_000;
const longestMaxHoldMs = 2_147_000_000;
const defaultTimeoutMs = 10_000;
/** The age at which a holder checks itself, where the caller names none, in ms. */
export const defaultStaleMs = 1_800_000;

/** How often and in which steps a lock was asked for by polling. */
export interface RetryOptions {
  retries: number;
  factor: number;
  /** The shortest delay, in ms. */
  minTimeout: number;
  /** The longest delay, in ms. */
  maxTimeout: number;
  /** It spread those who poll. Nobody polls now, so it changes nothing. */
  randomize?: boolean | undefined;
}

/** A number of ms above 0 and below infinity, else the fallback. */
export function positiveMs(value: number | undefined, fallback: number): number {
  return typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY
    ? value
    : fallback;
}

/** The time that all the delays of a retry shape take together, in ms. */
export function retryBudget({ retries, factor, minTimeout, maxTimeout }: RetryOptions): number {
  let budget = 0;
  for (let done = 0; done < retries; done += 1) {
    const delay = Math.min(maxTimeout, Math.max(minTimeout, minTimeout * factor ** done));
    // From here on all delays are equal; there may be infinitely many.
    if (!(delay > 0)) return budget;
    if (delay === maxTimeout || factor <= 1) return budget + (retries - done) * delay;
    budget += delay;
  }
  return budget;
}

/** What `acquireSessionWriteLock` waits for at most. */
export function sessionTimeout(timeoutMs: number | undefined): number {
  return timeoutMs === Number.POSITIVE_INFINITY
    ? timeoutMs
    : positiveMs(timeoutMs, defaultTimeoutMs);
}

export function sessionMaxHold(maxHoldMs: number | undefined): number {
  return positiveMs(maxHoldMs, defaultMaxHoldMs);
}

/** What `withFileLock` and `acquireFileLock` hold at most: ten times what was called old, at least. */
export function fileMaxHold(maxHoldMs: number | undefined, stale: number): number {
  return positiveMs(maxHoldMs, Math.max(defaultMaxHoldMs, 10 * positiveMs(stale, 0)));
}

/**
 * How long a session's lock may be held when the work in it is given up after `timeoutMs`: that and
 * `graceMs` (default 120,000), at least `minMs` (default 300,000), at most 2,147,000,000 ms.
 *
 * @returns a number of ms for `maxHoldMs`. What is not a number above 0 counts as its default.
 *
 * @example For a run that is ended after ten minutes
 * ```ts
 * import { resolveSessionLockMaxHoldFromTimeout } from 'holdfast/session-lock';
 *
 * const maxHoldMs: number = resolveSessionLockMaxHoldFromTimeout({ timeoutMs: 600_000 });
 * ```
 */
export function resolveSessionLockMaxHoldFromTimeout(params: {
  timeoutMs: number;
  graceMs?: number | undefined;
  minMs?: number | undefined;
}): number {
  if (params.timeoutMs === Number.POSITIVE_INFINITY) return longestMaxHoldMs;
  const minMs = positiveMs(params.minMs, defaultMaxHoldMs);
  const timeoutMs = positiveMs(params.timeoutMs, minMs);
  const graceMs = positiveMs(params.graceMs, defaultGraceMs);
  return Math.min(longestMaxHoldMs, Math.max(minMs, timeoutMs + graceMs));
}
