import { lock, withLock } from 'cross-process-lock';

// Its default gives up after 10 s.
const options = { waitTimeout: 600_000 };

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'cross-process-lock',
  package: 'cross-process-lock',
  mechanism: 'plain file, pid, age',
  waits: 'polls each 500 ms',
  acquire: (path) => lock(path, options),
  withLock: (path, fn) => withLock(path, options, fn),
};
