import { type FileHandle, open, readdir, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { FileLock } from '../index.js';
import { retryBusy } from './retry-busy.js';
import { syncFile } from './sync.js';

let count = 0;

function prefixOf(path: string): string {
  return `.${basename(path)}.`;
}

/** The token of a lock, as it stands in the names of files: a lock without a record has none. */
export function tokenOf(lock: FileLock): bigint {
  return lock.token ?? 0n;
}

function writerOf(lock: FileLock): string {
  return `${process.pid}.${tokenOf(lock)}.`;
}

/** A path beside the file, for what will replace it. The name tells the writer and its token. */
export function temporaryPath(path: string, lock: FileLock): string {
  count += 1;
  return join(dirname(path), `${prefixOf(path)}${writerOf(lock)}${count}.tmp`);
}

export async function removeIfThere(path: string): Promise<void> {
  await retryBusy(() => unlink(path)).catch((error) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/**
 * Removes what earlier writers left. Only holders of the lock write such files, so all that are not
 * this holder's are of writers that died or lost the lock; those who live find nothing to rename.
 */
export async function removeLeftovers(path: string, lock: FileLock): Promise<void> {
  const prefix = prefixOf(path);
  const writer = writerOf(lock);
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(prefix)) continue;
    const rest = name.slice(prefix.length);
    const number = /^\d+\.\d+\.(\d+)\.tmp$/.exec(rest)?.[1];
    if (number === undefined) continue;
    // In a container one that died before had the same pid, and it may have had the same token. What it
    // has left under a number that is still to come would be in the way then.
    if (rest.startsWith(writer) && Number(number) <= count) continue;
    await removeIfThere(join(dirname(path), name));
  }
}

/** Closes what is on the disk, or failed already: nothing is lost that an error could tell of. */
export async function closeSynced(handle: FileHandle): Promise<void> {
  await handle.close().catch(() => {});
}

/** Writes a new file that is on the disk when this is done, or not there. */
export async function writeTemporary(
  path: string,
  mode: number,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await write(handle);
    if (mode !== 0o600) await handle.chmod(mode);
    await syncFile(handle.fd);
  } catch (error) {
    await closeSynced(handle);
    await removeIfThere(path);
    throw error;
  }
  await closeSynced(handle);
}

/**
 * Makes a rename, a creation or a removal in this folder survive a power failure. It is opened before: one
 * that cannot be opened, for lack of descriptors perhaps, is told while nothing has changed.
 */
export async function synced<T>(folder: string, change: () => T | Promise<T>): Promise<T> {
  // Windows cannot open folders like this, and its file systems journal names by themselves.
  if (process.platform === 'win32') return change();
  const handle = await open(folder, 'r');
  try {
    const result = await change();
    await syncFile(handle.fd);
    return result;
  } finally {
    await closeSynced(handle);
  }
}
