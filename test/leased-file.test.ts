import { writeFileSync } from 'node:fs';
import { lock, lockSync, tryLock } from 'holdfast';
import { expect } from 'vitest';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

// As a file server does for its clients (fcntl(2), F_SETLEASE): whoever opens the file meanwhile has
// to wait until it was asked to stop.
const leasing = `
import fcntl, signal, sys
signal.signal(signal.SIGIO, lambda *_: None)
f = open(sys.argv[1])
fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_RDLCK)
print('leased', flush=True)
sys.stdin.read()`;

needs('Python', 'Linux')(
  'a lock file that a file server has for itself is contended, and waited for',
  async () => {
    const resource = temporaryResource();
    writeFileSync(`${resource}.flock`, '');
    const server = start('python3', ['-c', leasing, `${resource}.flock`]);
    await server.printed('leased');
    expect(tryLock(resource)).toBeNull();
    const code = 'ERR_LOCK_TIMEOUT';
    expect(() => lockSync(resource, { timeout: 1 })).toThrow(expect.objectContaining({ code }));
    await expect(lock(resource, { timeout: 1 })).rejects.toMatchObject({ code });
    const granted = lock(resource);
    server.child.stdin?.end();
    using held = await granted;
    expect(held.held).toBe(true);
  },
);
