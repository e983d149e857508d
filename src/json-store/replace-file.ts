import { type BigIntStats, renameSync, statSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type FileLock, inspect, LockLostError } from '../index.js';
import { JsonChangedError } from './errors.js';
import { retryBusy } from './retry-busy.js';
import { removeIfThere, synced, temporaryPath, writeTemporary } from './temporary-file.js';

/** What a file was when it was read: its stats, or null for no file. */
export type Version = BigIntStats | null;

/** What is to replace a file. */
export interface Replacement {
  readonly path: string;
  readonly lock: FileLock;
  /** What it is made from; undefined when it does not matter what is there now. */
  readonly basis: Version | undefined;
  write(handle: FileHandle): Promise<void>;
}

const newFileMode = 0o600;

function versionOf(path: string): Version {
  return statSync(path, { bigint: true, throwIfNoEntry: false }) ?? null;
}

function isSame(one: Version, other: Version): boolean {
  if (one === null || other === null) return one === other;
  return (
    one.dev === other.dev &&
    one.ino === other.ino &&
    one.size === other.size &&
    one.mtimeNs === other.mtimeNs
  );
}

/**
 * Fails when the lock file shows a token other than this holder's. That is so when somebody deleted
 * the lock file and another process locked a new one.
 */
export async function assertNewest(path: string, lock: FileLock): Promise<void> {
  const { lockPath } = lock;
  const { holder } = await inspect(path, { lockPath });
  if (holder === null || holder.token === null || holder.token === lock.token) return;
  throw new LockLostError(
    `${path} has a newer holder: token ${holder.token} against ${lock.token}`,
    { resource: path, lockPath, holder },
  );
}

// Checks and rename are one synchronous step: neither a busy event loop nor the thread pool comes
// between them. The step begins with a whole lease, so that none ends in it that is longer than it takes.
function publishOver({ path, lock, basis }: Replacement, temporary: string): void {
  lock.renew();
  if (basis !== undefined && !isSame(versionOf(path), basis)) throw new JsonChangedError(path);
  renameSync(temporary, path);
}

/** Replaces a file so that readers and a crash find the old or the new one, whole. */
export async function replaceFile(replacement: Replacement): Promise<void> {
  const { path, lock } = replacement;
  const temporary = temporaryPath(path, lock);
  const mode = versionOf(path)?.mode ?? BigInt(newFileMode);
  await writeTemporary(temporary, Number(mode & 0o7777n), (handle) => replacement.write(handle));
  try {
    await assertNewest(path, lock);
    await synced(dirname(path), () => retryBusy(() => publishOver(replacement, temporary)));
  } catch (error) {
    await removeIfThere(temporary);
    // Who lost the lock may find the temporary file removed already; that is not what went wrong.
    lock.assertHeld();
    throw error;
  }
}
