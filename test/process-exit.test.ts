import { lock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor, type Stage } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';

const roads: Record<string, (stage: Stage) => void> = {
  'process.exit()': () => process.exit(3),
  'an uncaught exception': () => {
    setImmediate(() => {
      throw new Error('uncaught on purpose');
    });
  },
  'process.abort()': () => process.abort(),
  SIGTERM: () => process.kill(process.pid, 'SIGTERM'),
  SIGKILL: () => process.kill(process.pid, 'SIGKILL'),
  'running out of memory': () => {
    const hoard: unknown[] = [];
    setImmediate(() => {
      for (;;) hoard.push(new Array(1_000).fill({}));
    });
  },
};

test.each(Object.keys(roads))('a process that ends by %s frees its lock', async (name) => {
  const resource = temporaryResource();
  const actor = await Actor.start({ execArgv: ['--max-old-space-size=32'], quiet: true });
  await actor.run(async ({ holdfast, kept }, path) => {
    kept.lock = await holdfast.lock(path);
  }, resource);
  const waiting = lock(resource);
  actor.run(roads[name] as (stage: Stage) => void).catch(() => {});
  await using held = await waiting;
  expect(held.previousHolder).toMatchObject({ pid: actor.pid, state: 'held' });
});

test('the library installs no signal handler and no exit handler', async () => {
  const actor = await Actor.start();
  const counts = () =>
    actor.run(() =>
      [
        'exit',
        'beforeExit',
        'SIGTERM',
        'SIGINT',
        'SIGHUP',
        'uncaughtException',
        'unhandledRejection',
      ].map((event) => process.listenerCount(event)),
    );
  const before = await counts();
  await actor.run(
    ({ holdfast }, path) => holdfast.withLock(path, { lease: 1_000 }, async () => {}),
    temporaryResource(),
  );
  await expect(counts()).resolves.toEqual(before);
  expect(before).toEqual([0, 0, 0, 0, 0, 0, 0]);
});
