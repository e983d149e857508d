import dotLocker from 'dotlocker';

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'dotlocker',
  package: 'dotlocker',
  mechanism: 'mkdir, age',
  waits: 'polls each 10 ms',
  tryAcquire: (path) => dotLocker.lockSync(path) ?? null,
  acquire: (path) => dotLocker.lock(path, { retries: Number.POSITIVE_INFINITY }),
};
