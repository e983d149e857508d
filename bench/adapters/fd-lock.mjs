import { open } from 'node:fs';
import { promisify } from 'node:util';
import FDLock from 'fd-lock';

// Not a FileHandle: the lock takes over the number and closes it, and a FileHandle would close it once more.
const openNumber = promisify(open);

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'fd-lock',
  package: 'fd-lock',
  mechanism: 'fcntl OFD lock',
  waits: 'kernel, own thread',
  acquire: async (path) => {
    const lock = new FDLock(await openNumber(path, 'a+'), { wait: true });
    await lock.ready();
    return () => lock.close();
  },
};
