import { runTogether } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { createResources } from '../lib/resources.mjs';
import { startTogether } from '../lib/start.mjs';

/** Memory once nothing is left to collect. */
function settledMemory() {
  // Twice: what finalisers let go of in the first is only free after the second.
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage();
}

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'many-locks',
  title: 'Many locks held by one process',
  about:
    'One process takes locks on different files one after the other and keeps them all. Time is the mean for each lock ' +
    'on the way to that number; memory is the growth of the resident set and of the JavaScript heap between the first ' +
    'and the last, after a collection, for each lock. Kernel memory, the descriptor itself among it, is not in it.',
  cases: (full) => [
    {
      id: 'held',
      title: 'one process',
      params: {
        counts: full ? [1, 100, 1000, 10_000] : [1, 100, 1000],
        budgetMs: full ? 2500 : 1000,
      },
    },
  ],
  rounds: (full) => (full ? 2 : 1),
  columns: [
    { key: 'us100', title: '100 locks', unit: 'µs' },
    { key: 'us1000', title: '1,000 locks', unit: 'µs' },
    { key: 'us10000', title: '10,000 locks', unit: 'µs' },
    { key: 'reached', title: 'held at the end' },
    { key: 'residentBytes', title: 'resident memory', unit: 'bytes' },
    { key: 'heapBytes', title: 'JS heap', unit: 'bytes' },
  ],
  plots: [{ case: 'held', column: 'residentBytes', title: 'Resident memory for each lock held' }],

  skip: ({ processPerLock }) => (processPerLock ? 'a process for each lock' : null),

  async measure({ peer, params, dir }) {
    const job = {
      scenario: 'many-locks',
      role: 'keeper',
      adapter: peer.id,
      limitMs: params.budgetMs + 30_000,
    };
    return (
      await runTogether([{ ...job, params: { ...params, dir }, nodeFlags: ['--expose-gc'] }])
    )[0];
  },

  roles: {
    async keeper({ peer, params, channel }) {
      const paths = createResources(params.dir, params.counts.at(-1));
      const releases = new Array(paths.length);
      await startTogether(channel);
      const deadline = nowUs() + params.budgetMs * 1000;
      const metrics = {};
      let held = 0;
      let before;
      for (const count of params.counts) {
        const from = held;
        const start = nowUs();
        while (held < count && nowUs() < deadline) {
          releases[held] = await peer.acquire(paths[held]);
          held++;
        }
        if (held === count) metrics[`us${count}`] = (nowUs() - start) / (count - from);
        before ??= settledMemory();
      }
      const after = settledMemory();
      metrics.reached = held;
      metrics.residentBytes = (after.rss - before.rss) / (held - 1);
      metrics.heapBytes =
        (after.heapUsed + after.external - before.heapUsed - before.external) / (held - 1);
      for (let i = 0; i < held; i++) await releases[i]();
      return metrics;
    },
  },
};
