// Takes a lock in a worker thread that will be terminated, whatever it does.
import { parentPort, workerData } from 'node:worker_threads';
import { logTo } from './log.mjs';

const { lock, lockSync } = await import(process.env.HOLDFAST_ENTRY);
const { id, resource, sync, log } = workerData;
parentPort.postMessage('started');
const held = sync ? lockSync(resource) : await lock(resource);
logTo(log).enter(held, 'terminated', id);
setInterval(() => held.assertHeld(), 1_000);
