import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { runTogether } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { createResources } from '../lib/resources.mjs';
import { startTogether } from '../lib/start.mjs';
import { quantile } from '../lib/stats.mjs';
import { startHolder, waitingRoles } from '../lib/waiters.mjs';

const settleMs = 100;
const limitMs = 30_000;

/** Reads a file each 5 ms for `ms`; a read that has not come back by then has taken at least that long. */
async function timeReads(/** @type {string} */ file, /** @type {number} */ ms) {
  const times = [];
  const start = nowUs();
  const deadline = sleep(ms, 'stalled');
  while (nowUs() - start < ms * 1000) {
    const before = nowUs();
    const outcome = await Promise.race([readFile(file), deadline]);
    times.push(nowUs() - before);
    if (outcome === 'stalled') break;
    await sleep(5);
  }
  return { p50: quantile(times, 0.5) / 1000, max: quantile(times, 1) / 1000 };
}

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'read-file',
  title: 'Reading a file while locks are waited for',
  about:
    'A process has 8 or 64 pending waits for one lock that another process keeps, and reads a small file with ' +
    '`fs.promises.readFile` each 5 ms. Waiters that block in the thread pool of Node.js leave no thread for the read: ' +
    'a maximum of the whole observation time (0.6 s) means that it did not come back at all.',
  cases: (full) =>
    [8, 64].map((waiters) => ({
      id: `${waiters}`,
      title: `${waiters} waiters`,
      fullOnly: waiters === 8,
      params: { waiters, ms: full ? 600 : 300 },
    })),
  rounds: (full) => (full ? 2 : 1),
  columns: [
    { key: 'p50', title: 'p50', unit: 'ms' },
    { key: 'max', title: 'max', unit: 'ms' },
  ],
  plots: [{ case: '64', column: 'max', title: 'Slowest readFile beside 64 waiters', log: true }],

  async measure({ peer, params, dir }) {
    const { path, holder } = await startHolder('read-file', peer, dir, limitMs);
    try {
      const job = { scenario: 'read-file', role: 'reader', adapter: peer.id, limitMs };
      return (await runTogether([{ ...job, params: { ...params, path } }]))[0];
    } finally {
      holder.kill();
    }
  },

  async baseline({ params, dir }) {
    const [path] = createResources(dir, 1);
    const job = { scenario: 'read-file', role: 'reader', adapter: '', limitMs };
    return (await runTogether([{ ...job, params: { ...params, path, waiters: 0 } }]))[0];
  },

  roles: {
    ...waitingRoles,
    async reader({ peer, params, channel }) {
      await startTogether(channel);
      let granted = false;
      for (let i = 0; i < params.waiters; i++)
        peer.acquire(params.path).then(() => (granted = true));
      await sleep(settleMs);
      const times = await timeReads(params.path, params.ms);
      if (granted) throw new Error('was granted a lock that another process holds');
      return times;
    },
  },
};
