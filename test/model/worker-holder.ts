import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Party } from './lock-model.js';

const entry = new URL('../../dist/index.js', import.meta.url).href;

// Says whether it has the lock, or that it is about to wait for it.
const program = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(${JSON.stringify(entry)}).then(async (holdfast) => {
    const { how, path, mode } = workerData;
    const say = (granted) => parentPort.postMessage(granted);
    globalThis.held = holdfast.tryLock(path, { mode });
    say(globalThis.held !== null);
    if (globalThis.held === null && how !== 'tryLock') await holdfast[how](path, { mode });
    setInterval(() => {}, 60_000);
  });
`;

/** A worker that takes a lock, or waits for it, until it is terminated. */
export class WorkerHolder {
  readonly party: Party;
  readonly granted: boolean;
  readonly #thread: Worker;

  private constructor(party: Party, granted: boolean, thread: Worker) {
    this.party = party;
    this.granted = granted;
    this.#thread = thread;
  }

  static async start(party: Party, how: 'tryLock' | 'lock' | 'lockSync', path: string) {
    const workerData = { how, path, mode: party.mode };
    const thread = new Worker(program, { eval: true, workerData });
    const [granted] = await once(thread, 'message');
    return new WorkerHolder(party, granted, thread);
  }

  async terminate(): Promise<void> {
    await this.#thread.terminate();
  }
}
