import { unlock, waitForLock } from 'fs-native-extensions';
import { openForLockAsync } from './descriptor.mjs';

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'fs-native-extensions (wait)',
  package: 'fs-native-extensions',
  mechanism: 'fcntl OFD lock',
  waits: 'kernel, own thread',
  acquire: async (path) => {
    const file = await openForLockAsync(path);
    await waitForLock(file.fd);
    return () => {
      unlock(file.fd);
      return file.close();
    };
  },
};
