import { cpSync, existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { lock } from 'holdfast';
import { expect } from 'vitest';
import { temporaryFolder, temporaryResource } from './helpers/folder.js';
import { lost } from './helpers/lost.js';
import { needs } from './helpers/needs.js';
import { patience } from './helpers/slowness.js';

const linked = needs('symbolic links');
const root = join(import.meta.dirname, '..');

// As jiti, bundles and two installed packages do it: the code twice, the file of the addon once.
async function secondCopy(): Promise<typeof import('holdfast')> {
  const folder = temporaryFolder();
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  for (const name of ['build', 'prebuilds', 'node_modules']) {
    if (existsSync(join(root, name))) symlinkSync(join(root, name), join(folder, name), 'junction');
  }
  return import(pathToFileURL(join(folder, 'dist', 'index.js')).href);
}

linked('two copies of the library in one thread wait for each other and count on', async () => {
  const resource = temporaryResource();
  const copy = await secondCopy();
  const options = { timeout: patience };
  for (const [one, other] of [
    [copy.lock, lock],
    [lock, copy.lock],
  ] as const) {
    using first = await one(resource);
    const waiting = other(resource, options);
    first.release();
    using second = await waiting;
    expect(second.token).toBe((first.token ?? 0n) + 1n);
  }
});

linked('a lease of one copy is kept while another one is there', async () => {
  const copy = await secondCopy();
  using held = await lock(temporaryResource(), { lease: 20 });
  using _ = await copy.lock(temporaryResource(), { lease: 60_000 });
  await lost(held.signal);
  expect(held.signal.reason.code).toBe('ERR_LOCK_EXPIRED');
});
