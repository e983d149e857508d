import { basename, dirname } from 'node:path';
import { LockFile } from '@rushstack/node-core-library';

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: '@rushstack LockFile',
  package: '@rushstack/node-core-library',
  mechanism: 'file for each pid, ps',
  waits: 'polls each 100 ms',
  tryAcquire: (path) => {
    const held = LockFile.tryAcquire(dirname(path), basename(path));
    return held ? () => held.release() : null;
  },
  acquire: async (path) => {
    const held = await LockFile.acquireAsync(dirname(path), basename(path));
    return () => held.release();
  },
};
