// Takes a lock in a worker thread that will be terminated, whatever it does.
import { appendFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

const { lock } = await import(process.env.HOLDFAST_ENTRY);
parentPort.postMessage('started');
const held = await lock(workerData.resource, { timeout: 500 });
const { resource, token, mode } = held;
const entry = {
  event: 'enter',
  at: String(process.hrtime.bigint()),
  resource,
  token: String(token),
  mode,
};
appendFileSync(workerData.log, `${JSON.stringify(entry)}\n`);
setInterval(() => held.assertHeld(), 1_000);
