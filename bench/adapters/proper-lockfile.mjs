import lockfile from 'proper-lockfile';
import { pollMs } from './descriptor.mjs';

const retries = { forever: true, factor: 1, minTimeout: pollMs, maxTimeout: pollMs };

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'proper-lockfile',
  package: 'proper-lockfile',
  mechanism: 'mkdir, age',
  waits: 'polls each 10 ms',
  tryAcquire: (path) => {
    try {
      return lockfile.lockSync(path, { realpath: false });
    } catch (error) {
      if (error.code === 'ELOCKED') return null;
      throw error;
    }
  },
  acquire: (path) => lockfile.lock(path, { realpath: false, retries }),
};
