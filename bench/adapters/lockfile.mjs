import { promisify } from 'node:util';
import lockfile from 'lockfile';
import { pollMs } from './descriptor.mjs';

const lock = promisify(lockfile.lock);
const unlock = promisify(lockfile.unlock);

// Without `stale` a crashed holder would block for ever; 10 s is what the other age-based peers default to.
const stale = 10_000;

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'lockfile',
  package: 'lockfile',
  mechanism: 'O_EXCL file, age',
  waits: 'polls each 10 ms',
  tryAcquire: (path) => {
    const lockPath = `${path}.lock`;
    try {
      lockfile.lockSync(lockPath, { stale });
    } catch (error) {
      if (error.code === 'EEXIST') return null;
      throw error;
    }
    return () => lockfile.unlockSync(lockPath);
  },
  acquire: async (path) => {
    const lockPath = `${path}.lock`;
    await lock(lockPath, { stale, wait: 600_000, pollPeriod: pollMs });
    return () => unlock(lockPath);
  },
};
