import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

const fixture = fileURLToPath(new URL('./fixtures/in-context.mjs', import.meta.url));
const dist = new URL('../dist/', import.meta.url).href;

/** What the program prints. */
async function inContext(source: string): Promise<string> {
  const file = join(temporaryFolder(), 'program.mjs');
  writeFileSync(file, source);
  const program = start(process.execPath, ['--experimental-vm-modules', fixture, file]);
  const { code, stdout, stderr } = await program.ended;
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

// Before Node 24 such a context has no Symbol.dispose, which withLock() used to let go with.
needs('modules in contexts')('in a context of node:vm, locks are freed as elsewhere', async () => {
  const resource = JSON.stringify(join(temporaryFolder(), 'resource'));
  const printed = await inContext(`
    import { heldLocks, tryLock, withLock } from '${dist}index.js';
    import { acquireSessionWriteLock } from '${dist}session-lock/index.js';
    const held = [];
    await withLock(${resource}, () => held.push(heldLocks().length));
    await withLock(${resource}, async () => { throw new Error('x'); }).catch(() => {});
    held.push(heldLocks().length);
    const keyOf = (name) => Symbol[name] ?? Symbol.for('Symbol.' + name);
    tryLock(${resource})[keyOf('dispose')]();
    await tryLock(${resource})[keyOf('asyncDispose')]();
    const session = await acquireSessionWriteLock({ sessionFile: ${resource} });
    await session[keyOf('asyncDispose')]();
    held.push(heldLocks().length);
    process.stdout.write(held.join());
  `);
  expect(printed).toBe('1,0,0');
});

// Test environments such as jsdom replace the globals of Node by those of a browser.
needs('modules in contexts')(
  'where timers and URLs are those of a browser, locks work',
  async () => {
    const resource = JSON.stringify(join(temporaryFolder(), 'resource'));
    const printed = await inContext(`
    import { pathToFileURL } from 'node:url';
    import { heldLocks, lock, withLock } from '${dist}index.js';
    globalThis.setTimeout = globalThis.setInterval = () => 1;
    globalThis.setImmediate = undefined;
    globalThis.URL = class {};
    const first = await lock(pathToFileURL(${resource}), { leakCheck: 60_000 });
    const second = lock(${resource});
    first.release();
    (await second).release();
    await withLock(${resource}, { reentrant: true }, async () => {
      (await lock(${resource}, { reentrant: true })).release();
    });
    process.stdout.write(String(heldLocks().length));
  `);
    expect(printed).toBe('0');
  },
);
