import { lock, tryLock, withLock } from '../../dist/index.js';

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'holdfast',
  mechanism: 'flock(2)',
  waits: 'kernel, own thread',
  tryAcquire: (path) => {
    const held = tryLock(path);
    return held && (() => held.release());
  },
  acquire: async (path) => {
    const held = await lock(path);
    return () => held.release();
  },
  withLock,
};
