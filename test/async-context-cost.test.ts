import { expect, test } from 'vitest';
import { Actor, type Stage } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';

/** Whether promises have async ids, which they get, at a price, while somebody follows the async context. */
async function promisesAreFollowed(): Promise<boolean> {
  const { executionAsyncId } = process.getBuiltinModule('node:async_hooks');
  const ids = new Set<number>();
  for (let turn = 0; turn < 3; turn += 1) {
    await null;
    ids.add(executionAsyncId());
  }
  return ids.size > 1;
}

const uses: Record<string, (stage: Stage, path: string) => unknown> = {
  nothing: () => {},
  tryLock: ({ holdfast }, path) => holdfast.tryLock(path)?.release(),
  lockSync: ({ holdfast }, path) => holdfast.lockSync(path).release(),
  'lock and a queue': async ({ holdfast }, path) => {
    const held = await holdfast.lock(path);
    const waiting = holdfast.lock(path, { timeout: 10_000 });
    held.release();
    (await waiting).release();
  },
  guardProcess: ({ holdfast }) => holdfast.guardProcess()(),
};

// Before Node 24 an async context in use makes every promise of the process slower.
test.each(Object.keys(uses))('%s does not start to follow the async context', async (name) => {
  const actor = await Actor.start();
  await actor.run(uses[name] as (typeof uses)[string], temporaryResource());
  await expect(actor.run(promisesAreFollowed)).resolves.toBe(false);
});
