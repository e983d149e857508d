import { join } from 'node:path';
import { runProgram, runTogether } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { createResources } from '../lib/resources.mjs';
import { startTogether } from '../lib/start.mjs';

const manyFiles = 1000;
// The clock is read once for so many locks, so that it is no part of what is measured.
const stride = 16;
// What V8 has not compiled yet takes up to five times as long: some 80 ms of locking, whoever's it is.
const warmUpMs = 300;

/**
 * Mean microseconds of `once`, which is called with the paths in turn.
 * @param {string[]} paths
 * @param {number} ms
 * @param {(path: string) => void | Promise<void>} once
 */
async function meanUs(paths, ms, once) {
  const run = async (/** @type {number} */ us) => {
    let done = 0;
    let elapsed = 0;
    for (const start = nowUs(); elapsed < us; elapsed = nowUs() - start) {
      for (let i = 0; i < stride; i++, done++) {
        const pending = once(paths[done % paths.length]);
        // Awaiting what is no promise would add a turn of the microtask queue to every synchronous lock.
        if (pending !== undefined) await pending;
      }
    }
    return elapsed / done;
  };
  for (const path of paths) await once(path);
  await run(warmUpMs * 1000);
  return run(ms * 1000);
}

/** @param {import('../lib/peers.mjs').Adapter} peer */
const ways = (peer) => ({
  sync: peer.tryAcquire && ((path) => void peer.tryAcquire(path)()),
  async:
    peer.acquire &&
    (async (path) => {
      const release = await peer.acquire(path);
      await release();
    }),
  withLock: peer.withLock && ((path) => peer.withLock(path, async () => {})),
});

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'uncontended',
  title: 'Lock and release with nobody else there',
  about:
    'One process locks and releases in a loop, on one file and on 1,000 files in turn: synchronously, with promises, ' +
    'and with a `withLock` where there is one. Mean of one lock and release, once V8 has compiled what runs. The C floor is open, flock, unlock and ' +
    'close; "C floor, record" adds a 256-byte pread and pwrite, what a holder record costs at least.',
  cases: (full) => [{ id: 'all', title: 'one process', params: { ms: full ? 120 : 40 } }],
  rounds: (full) => (full ? 4 : 1),
  columns: [
    { key: 'sync1', title: 'sync, 1 file', unit: 'µs', floor: 'sync1' },
    { key: 'sync1000', title: 'sync, 1,000 files', unit: 'µs', floor: 'sync1000' },
    { key: 'async1', title: 'async, 1 file', unit: 'µs', floor: 'sync1' },
    { key: 'async1000', title: 'async, 1,000 files', unit: 'µs', floor: 'sync1000' },
    { key: 'withLock1', title: 'withLock, 1 file', unit: 'µs', floor: 'sync1' },
    { key: 'record1', title: 'C with record, 1 file', unit: 'µs', hidden: true },
  ],
  plots: [
    { case: 'all', column: 'sync1', title: 'Synchronous lock and release, one file', log: true },
    { case: 'all', column: 'async1', title: 'Asynchronous lock and release, one file', log: true },
  ],

  async measure({ peer, params, dir }) {
    const job = { scenario: 'uncontended', role: 'locker', adapter: peer.id, limitMs: 60_000 };
    const [metrics] = await runTogether([{ ...job, params: { ...params, dir } }]);
    return metrics;
  },

  async floor({ params, dir, programs }) {
    const mean = async (/** @type {number} */ files, /** @type {string} */ kind) =>
      Number(await runProgram(programs.floor, [dir, files, params.ms, kind], 60_000));
    return {
      sync1: await mean(1, 'plain'),
      sync1000: await mean(manyFiles, 'plain'),
      record1: await mean(1, 'record'),
    };
  },

  roles: {
    async locker({ peer, params, channel }) {
      const one = createResources(params.dir, 1);
      // A thousand processes for a thousand files would measure the process table.
      const many = peer.processPerLock
        ? null
        : createResources(join(params.dir, 'many'), manyFiles);
      await startTogether(channel);
      const { sync, async, withLock } = ways(peer);
      return {
        sync1: sync ? await meanUs(one, params.ms, sync) : null,
        sync1000: sync && many ? await meanUs(many, params.ms, sync) : null,
        async1: async ? await meanUs(one, params.ms, async) : null,
        async1000: async && many ? await meanUs(many, params.ms, async) : null,
        withLock1: withLock ? await meanUs(one, params.ms, withLock) : null,
      };
    },
  },
};
