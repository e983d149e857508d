import { promisify } from 'node:util';
import { openForLockAsync, tryDescriptor } from './descriptor.mjs';

/**
 * fs-ext and its prebuilt fork have one and the same API.
 * @param {string} name
 * @param {typeof import('fs-ext')} fsExt
 * @returns {import('../lib/peers.mjs').Adapter}
 */
export function fsExtAdapter(name, fsExt) {
  const flock = promisify(fsExt.flock);
  const unlock = (/** @type {number} */ fd) => fsExt.flockSync(fd, 'un');
  const tryLock = (/** @type {number} */ fd) => {
    try {
      fsExt.flockSync(fd, 'exnb');
      return true;
    } catch (error) {
      if (error.code === 'EAGAIN' || error.code === 'EWOULDBLOCK') return false;
      throw error;
    }
  };
  return {
    name,
    package: name,
    mechanism: 'flock(2)',
    waits: 'kernel, libuv pool',
    tryAcquire: (path) => tryDescriptor(path, tryLock, unlock),
    acquire: async (path) => {
      const file = await openForLockAsync(path);
      await flock(file.fd, 'ex');
      return () => {
        unlock(file.fd);
        return file.close();
      };
    },
  };
}
