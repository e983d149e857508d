import type { FileLockOptions } from 'holdfast/session-lock';

/** Options that wait for this many ms at most. */
export function fileLockOptions(
  budget = 10_000,
  others: Partial<FileLockOptions> = {},
): FileLockOptions {
  const retries = { retries: 1, factor: 1, minTimeout: budget, maxTimeout: budget };
  return { retries, stale: 30_000, ...others };
}
