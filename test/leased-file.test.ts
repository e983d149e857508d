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

/** A resource whose lock file such a server has, until it ends. */
async function leased() {
  const resource = temporaryResource();
  writeFileSync(`${resource}.flock`, '');
  const server = start('python3', ['-c', leasing, `${resource}.flock`]);
  await server.printed('leased');
  return { resource, end: () => server.child.stdin?.end() };
}

needs('Python', 'Linux')(
  'a lock file that a file server has for itself is contended, and waited for',
  async () => {
    const { resource, end } = await leased();
    expect(tryLock(resource)).toBeNull();
    const code = 'ERR_LOCK_TIMEOUT';
    expect(() => lockSync(resource, { timeout: 1 })).toThrow(expect.objectContaining({ code }));
    await expect(lock(resource, { timeout: 1 })).rejects.toMatchObject({ code });
    const granted = lock(resource);
    end();
    using held = await granted;
    expect(held.held).toBe(true);
  },
);

// Nothing is known of it before it was opened, and what was known of another file is not of this one.
needs('Python', 'Linux')(
  'whoever waits for such a file does not stand behind the holder of the file that was tried before',
  async () => {
    const { resource, end } = await leased();
    const other = temporaryResource();
    using held = tryLock(other);
    expect(tryLock(other)).toBeNull();
    const granted = lock(resource);
    end();
    using next = await granted;
    expect([held?.held, next.held]).toEqual([true, true]);
  },
);
