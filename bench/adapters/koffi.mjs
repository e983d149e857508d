import { promisify } from 'node:util';
import koffi from 'koffi';
import { openForLockAsync, tryDescriptor } from './descriptor.mjs';

const exclusive = 2;
const nonBlocking = 4;
const release = 8;

// The C library that this process already has, whichever it is.
const flock = koffi.load(null).func('int flock(int fd, int operation)');
const flockAsync = promisify(flock.async);

const tryLock = (/** @type {number} */ fd) => flock(fd, exclusive | nonBlocking) === 0;
const unlock = (/** @type {number} */ fd) => flock(fd, release);

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'koffi',
  package: 'koffi',
  mechanism: 'flock(2)',
  waits: 'kernel, libuv pool',
  tryAcquire: (path) => tryDescriptor(path, tryLock, unlock),
  acquire: async (path) => {
    const file = await openForLockAsync(path);
    if ((await flockAsync(file.fd, exclusive)) !== 0) throw new Error('flock failed');
    return () => {
      unlock(file.fd);
      return file.close();
    };
  },
};
