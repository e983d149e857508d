import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { slowness } from './helpers/slowness.js';

const waiters = 64;

/** The median of what reading a file takes: a full pool makes all reads slow. */
const readDelay = (actor: Actor) =>
  actor.run(
    async (_, path) => {
      const { readFile } = process.getBuiltinModule('node:fs').promises;
      const delays: number[] = [];
      for (let round = 0; round < 31; round += 1) {
        const asked = performance.now();
        await readFile(path);
        delays.push(performance.now() - asked);
      }
      return delays.sort((a, b) => a - b)[15];
    },
    fileURLToPath(import.meta.url),
  );

// Four blocking calls fill the thread pool of libuv: fs.readFile then waited for as long as they did.
test('64 blocked waiters do not slow down fs.promises.readFile', async () => {
  const resource = temporaryResource();
  const [holding, waiting] = await Promise.all([Actor.start(), Actor.start()]);
  await holding.run(
    ({ holdfast, kept }, resource, waiters) => {
      kept['locks'] = Array.from({ length: waiters }, (_, index) =>
        holdfast.lockSync(`${resource}-${index}`),
      );
    },
    resource,
    waiters,
  );
  await waiting.run(
    ({ holdfast, kept }, resource, waiters) => {
      kept['waiting'] = Array.from({ length: waiters }, (_, index) =>
        holdfast.lock(`${resource}-${index}`),
      );
    },
    resource,
    waiters,
  );
  const files = Array.from({ length: waiters }, (_, index) => `${resource}-${index}.flock`);
  await Promise.all(files.map((file) => untilBlocked(file, 1)));
  // The other one, which waits for nothing, tells how fast the machine is just now.
  const [delay, usual] = (await Promise.all([waiting, holding].map(readDelay))) as [number, number];
  expect(delay).toBeLessThan(20 * slowness + 2 * usual);
  const granted = waiting.run(async ({ kept }) => (await Promise.all(kept['waiting'])).length);
  await holding.run(({ kept }) => {
    for (const lock of kept['locks']) lock.release();
  });
  await expect(granted).resolves.toBe(waiters);
});
