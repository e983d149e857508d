import { spawn, spawnSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { openForLock } from './descriptor.mjs';

// flock(1) locks the descriptor it inherits as number 3; the lock stays with our copy when the command ends.
const stdioWith = (/** @type {number} */ fd) => ['ignore', 'ignore', 'ignore', fd];

/** @type {import('../lib/peers.mjs').Adapter} */
export default {
  name: 'flock(1)',
  mechanism: 'flock(2), a command',
  waits: 'kernel, child process',
  processPerLock: true,
  tryAcquire: (path) => {
    const fd = openForLock(path);
    if (spawnSync('flock', ['-x', '-n', '3'], { stdio: stdioWith(fd) }).status === 0)
      return () => closeSync(fd);
    closeSync(fd);
    return null;
  },
  acquire: async (path) => {
    const fd = openForLock(path);
    const status = await new Promise((resolve, reject) => {
      spawn('flock', ['-x', '3'], { stdio: stdioWith(fd) })
        .once('exit', resolve)
        .once('error', reject);
    });
    if (status !== 0) throw new Error(`flock ended with ${status}`);
    return () => closeSync(fd);
  },
};
