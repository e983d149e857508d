// Opening and polling, as a user of a library that locks descriptors would write them.
import { closeSync, constants, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const flags = constants.O_RDWR | constants.O_CREAT;

/** @param {string} path */
export const openForLock = (path) => openSync(path, flags, 0o600);

/** @param {string} path */
export const openForLockAsync = (path) => open(path, flags, 0o600);

/**
 * Opens the file, and closes it again when the lock was not to be had.
 * @param {string} path
 * @param {(fd: number) => boolean} tryLock
 * @param {(fd: number) => void} unlock
 */
export function tryDescriptor(path, tryLock, unlock) {
  const fd = openForLock(path);
  if (!tryLock(fd)) {
    closeSync(fd);
    return null;
  }
  return () => {
    unlock(fd);
    closeSync(fd);
  };
}

export const pollMs = 10;

/**
 * What is left to the user of a library that can only try: ask again every 10 ms.
 * @param {(path: string) => (() => void) | null} tryAcquire
 */
export const polling = (tryAcquire) => async (/** @type {string} */ path) => {
  for (;;) {
    const release = tryAcquire(path);
    if (release !== null) return release;
    await sleep(pollMs);
  }
};
