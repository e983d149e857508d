import { runTogether } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { loadAdapter } from '../lib/peers.mjs';
import { createResources } from '../lib/resources.mjs';
import { quantile } from '../lib/stats.mjs';

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'start-up',
  title: 'The first lock of a process',
  about:
    'What a command that runs for a moment pays: importing the package, and the first lock and release after that, in ' +
    'processes of their own. Medians over the processes. holdfast is imported as from a checkout; an installed one takes ' +
    'as much longer on Linux as `detect-libc` needs to tell which binary fits.',
  cases: (full) => [{ id: 'all', title: 'one process', params: { processes: full ? 9 : 3 } }],
  rounds: (full) => (full ? 2 : 1),
  columns: [
    { key: 'importMs', title: 'import', unit: 'ms' },
    { key: 'lockMs', title: 'first lock and release', unit: 'ms' },
    { key: 'totalMs', title: 'both', unit: 'ms' },
  ],
  plots: [{ case: 'all', column: 'totalMs', title: 'Import, first lock and release', log: true }],

  async measure({ peer, params, dir }) {
    const [path] = createResources(dir, 1);
    // Without an adapter: the child is to load it when it counts.
    const job = { scenario: 'start-up', role: 'starter', adapter: '', limitMs: 20_000 };
    const all = [];
    for (let i = 0; i < params.processes; i++) {
      const [metrics] = await runTogether([{ ...job, params: { path, peer: peer.id } }]);
      all.push(metrics);
    }
    const median = (/** @type {string} */ key) =>
      quantile(
        all.map((metrics) => metrics[key]),
        0.5,
      );
    return { importMs: median('importMs'), lockMs: median('lockMs'), totalMs: median('totalMs') };
  },

  roles: {
    async starter({ params, channel }) {
      channel.send('ready');
      await channel.receive('start');
      const start = nowUs();
      const peer = await loadAdapter(params.peer);
      const imported = nowUs();
      const release = await peer.acquire(params.path);
      await release();
      const locked = nowUs();
      return {
        importMs: (imported - start) / 1000,
        lockMs: (locked - imported) / 1000,
        totalMs: (locked - start) / 1000,
      };
    },
  },
};
