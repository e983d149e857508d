import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProgram, Worker } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { allowedCores } from '../lib/machine.mjs';
import { createResources } from '../lib/resources.mjs';
import { quantile } from '../lib/stats.mjs';

// Random, so that a poller is not met at the same point of its interval each time.
const minHoldMs = 4;
const maxHoldMs = 14;
// Hand-overs in quick succession before the counting begins: code that has hardly run yet costs more than the lock.
const warmUpMs = 400;
const quietMs = 2;
const limitMs = 60_000;

const summarizeLatencies = (/** @type {number[]} */ latencies) => ({
  p50: quantile(latencies, 0.5),
  p99: quantile(latencies, 0.99),
  max: quantile(latencies, 1),
  samples: latencies.length,
});

/**
 * Keeps every core busy while `run` runs.
 *
 * @template T
 * @param {boolean} busy  or does not
 * @param {() => Promise<T>} run
 */
async function besideBusyCores(busy, run) {
  const job = { scenario: 'hand-over', role: 'spinner', adapter: '', params: {}, limitMs };
  const spinners = busy
    ? Array.from({ length: os.availableParallelism() }, () => new Worker(job))
    : [];
  try {
    await Promise.all(spinners.map((spinner) => spinner.receive('spinning')));
    return await run();
  } finally {
    for (const spinner of spinners) spinner.kill();
  }
}

/** The cores of the holder and of the waiter, where the system is not left to choose them. */
function coresFor(/** @type {'apart' | 'together' | undefined} */ cores) {
  if (cores === undefined) return [];
  const [first, second] = allowedCores();
  return [first, cores === 'apart' ? second : first];
}

const pinnedTo = (/** @type {number | undefined} */ core) =>
  core === undefined ? [] : ['taskset', '--cpu-list', String(core)];

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'hand-over',
  title: 'Hand-over from one process to another',
  about:
    'One process holds the lock for 4 to 14 ms while another waits for it, over and over, after a warm-up. The time is from just before ' +
    'the holder calls release to just after the waiter has the lock, on an idle machine and with every core kept busy ' +
    'by a spinning process. The C floor is two processes that block in flock(2). Where the system chooses the cores, these ' +
    'two end up on one core, because the holder sleeps as soon as it has released, and a holder in Node.js goes on: so ' +
    'there is the same with each process on a core of its own, and with both on one.',
  cases: (full) => {
    const params = { busy: false, ms: full ? 1_200 : 400 };
    const apart = {
      id: 'apart',
      title: 'each process on a core of its own',
      fullOnly: true,
      params: { ...params, cores: 'apart' },
    };
    return [
      { id: 'idle', title: 'idle cores', params },
      ...(allowedCores().length > 1 ? [apart] : []),
      {
        id: 'together',
        title: 'both processes on one core',
        fullOnly: true,
        params: { ...params, cores: 'together' },
      },
      { id: 'busy', title: 'busy cores', fullOnly: true, params: { ...params, busy: true } },
    ];
  },
  rounds: (full) => (full ? 3 : 1),
  columns: [
    { key: 'p50', title: 'p50', unit: 'µs', floor: 'p50' },
    { key: 'p99', title: 'p99', unit: 'µs', floor: 'p99' },
    { key: 'max', title: 'max', unit: 'µs' },
    { key: 'samples', title: 'samples a round' },
  ],
  plots: [
    { case: 'idle', column: 'p50', title: 'Hand-over to a waiting process, p50', log: true },
    { case: 'idle', column: 'p99', title: 'Hand-over to a waiting process, p99', log: true },
  ],

  async measure({ peer, params, dir }) {
    const [path] = createResources(dir, 1);
    const job = { scenario: 'hand-over', adapter: peer.id, params: { path }, limitMs };
    const [holderCore, waiterCore] = coresFor(params.cores);
    const holder = new Worker({ ...job, role: 'holder', under: pinnedTo(holderCore) });
    const waiter = new Worker({ ...job, role: 'waiter', under: pinnedTo(waiterCore) });
    try {
      const handOver = async (/** @type {number} */ holdMs) => {
        holder.send('hold');
        await holder.receive('held');
        waiter.send('wait');
        await waiter.receive('waiting');
        holder.send('release', holdMs);
        const granted = await waiter.receive('granted');
        return granted - (await holder.receive('released'));
      };
      return await besideBusyCores(params.busy, async () => {
        for (const end = nowUs() + warmUpMs * 1000; nowUs() < end; ) await handOver(1);
        const latencies = [];
        for (const end = nowUs() + params.ms * 1000; nowUs() < end; ) {
          latencies.push(await handOver(minHoldMs + Math.random() * (maxHoldMs - minHoldMs)));
        }
        return summarizeLatencies(latencies);
      });
    } finally {
      holder.kill();
      waiter.kill();
    }
  },

  async floor({ params, dir, programs }) {
    const [path] = createResources(dir, 1);
    const samples = Math.round(params.ms / ((minHoldMs + maxHoldMs) / 2));
    const args = [path, samples, minHoldMs * 1000, maxHoldMs * 1000, ...coresFor(params.cores)];
    const stdout = await besideBusyCores(params.busy, () =>
      runProgram(programs.handover, args, limitMs),
    );
    return summarizeLatencies(stdout.trim().split('\n').map(Number));
  },

  roles: {
    async holder({ peer, params, channel }) {
      for (;;) {
        await channel.receive('hold');
        const release = await peer.acquire(params.path);
        channel.send('held');
        await sleep(await channel.receive('release'));
        const at = nowUs();
        await release();
        // Not at once: the parent would wake up for it and compete with the waiter for a core.
        await sleep(quietMs);
        channel.send('released', at);
      }
    },

    async waiter({ peer, params, channel }) {
      for (;;) {
        await channel.receive('wait');
        channel.send('waiting');
        const release = await peer.acquire(params.path);
        const at = nowUs();
        await release();
        channel.send('granted', at);
      }
    },

    async spinner({ channel }) {
      channel.send('spinning');
      const endUs = nowUs() + limitMs * 1000;
      // In slices: a loop that never yields would not notice that the run has ended.
      while (nowUs() < endUs) {
        const sliceEnd = nowUs() + 50_000;
        while (nowUs() < sliceEnd);
        await new Promise(setImmediate);
      }
    },
  },
};
