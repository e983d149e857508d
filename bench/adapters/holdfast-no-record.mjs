import { lock, tryLock, withLock } from '../../dist/index.js';

const options = { record: false };

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'holdfast (no record)',
  mechanism: 'flock(2)',
  waits: 'kernel, own thread',
  tryAcquire: (path) => {
    const held = tryLock(path, options);
    return held && (() => held.release());
  },
  acquire: async (path) => {
    const held = await lock(path, options);
    return () => held.release();
  },
  withLock: (path, fn) => withLock(path, options, fn),
};
