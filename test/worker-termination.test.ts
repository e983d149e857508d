import { Worker } from 'node:worker_threads';
import { lock, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { temporaryResource } from './helpers/folder.js';
import { rounds, slowness } from './helpers/slowness.js';

const entry = new URL('../dist/index.js', import.meta.url).href;

// A worker that holds one lock, holds another with a lease, waits for a third, and says so.
const program = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(${JSON.stringify(entry)}).then(async ({ lock, tryLock }) => {
    globalThis.held = tryLock(workerData.held);
    globalThis.leased = tryLock(workerData.leased, { lease: workerData.lease });
    lock(workerData.awaited);
    parentPort.postMessage('ready');
  });
`;

// 200 rounds, because the worker has to be hit in the middle of a grant, a wait and an expiry.
test('terminated workers leave no lock behind, and crash nobody', {
  timeout: 120_000 * slowness,
}, async () => {
  const [held, leased, awaited] = [temporaryResource(), temporaryResource(), temporaryResource()];
  let slowest = 0;
  for (let round = 0; round < rounds(200); round += 1) {
    const mine = await lock(awaited);
    const worker = new Worker(program, {
      eval: true,
      workerData: { held, leased, awaited, lease: 1 + (round % 5) },
    });
    await new Promise((resolve) => worker.once('message', resolve));
    expect(tryLock(held)).toBeNull();
    const terminated = worker.terminate();
    // Granted to the worker in the moment of its end.
    if (round % 2 === 0) mine.release();
    await terminated;
    const since = performance.now();
    for (const resource of [held, leased]) (await lock(resource)).release();
    slowest = Math.max(slowest, performance.now() - since);
    mine.release();
  }
  expect(slowest).toBeLessThan(1_000 * slowness);
  (await lock(awaited)).release();
});
