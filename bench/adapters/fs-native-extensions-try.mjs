import { tryLock, unlock } from 'fs-native-extensions';
import { polling, tryDescriptor } from './descriptor.mjs';

const tryAcquire = (/** @type {string} */ path) => tryDescriptor(path, tryLock, unlock);

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'fs-native-extensions (try)',
  package: 'fs-native-extensions',
  mechanism: 'fcntl OFD lock',
  waits: 'polls each 10 ms',
  polledByUser: true,
  tryAcquire,
  acquire: polling(tryAcquire),
};
