import { ageOf } from './hold.js';
import { LockFile } from './lock-file.js';
import type { LockMode } from './options.js';

/** A lock that this thread holds. */
export interface HeldLock {
  /** The guarded path, as it was given. */
  readonly resource: string;
  /** The lock file, absolute. */
  readonly lockPath: string;
  readonly mode: LockMode;
  /** What the lock is for. */
  readonly label: string | null;
  /** How long it has been held, in ms. */
  readonly ageMs: number;
}

/**
 * Lists the locks that this thread holds, without keeping any of them from being collected.
 *
 * @example Say at shutdown what was not released
 * ```ts
 * import { heldLocks } from 'holdfast';
 *
 * for (const { resource, ageMs } of heldLocks()) console.log(resource, ageMs);
 * ```
 */
export function heldLocks(): HeldLock[] {
  const held: HeldLock[] = [];
  for (const file of LockFile.existing()) {
    if (file.hold === null || !file.held) continue;
    const { resource, lockPath, mode, label } = file.hold;
    held.push({ resource, lockPath, mode, label, ageMs: ageOf(file.hold) });
  }
  return held;
}

/**
 * Takes all locks of this thread away from their holders, who learn it through `lock.signal`.
 *
 * @returns how many there were.
 *
 * @example In a test's clean-up
 * ```ts
 * import { releaseAll } from 'holdfast';
 *
 * const forgotten: number = releaseAll();
 * ```
 */
export function releaseAll(): number {
  const holds = [...LockFile.existing()].flatMap((file) => (file.held && file.hold) || []);
  // By the hold: whoever is told may let go of one and take another lock, with the same file object.
  for (const hold of holds) LockFile.ownerOf(hold)?.takeAway('releaseAll');
  return holds.length;
}
