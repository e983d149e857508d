import { lock } from '../../dist/index.js';

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'holdfast (lease 1 s)',
  mechanism: 'flock(2)',
  waits: 'kernel, own thread',
  scenarios: ['leaked-holder'],
  acquire: async (path) => {
    const held = await lock(path, { lease: 1000 });
    return () => held.release();
  },
};
