import { lock, unlock } from 'os-lock';
import { openForLockAsync } from './descriptor.mjs';

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'os-lock',
  package: 'os-lock',
  mechanism: 'fcntl process lock',
  waits: 'kernel, libuv pool',
  acquire: async (path) => {
    const file = await openForLockAsync(path);
    await lock(file.fd, { exclusive: true });
    return async () => {
      await unlock(file.fd);
      await file.close();
    };
  },
};
