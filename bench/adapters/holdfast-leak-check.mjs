import { lock } from '../../dist/index.js';

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'holdfast (leakCheck 1 s)',
  mechanism: 'flock(2)',
  waits: 'kernel, own thread',
  scenarios: ['leaked-holder'],
  acquire: async (path) => {
    const held = await lock(path, { leakCheck: 1000 });
    return () => held.release();
  },
};
