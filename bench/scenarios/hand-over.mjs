import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProgram, Worker } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { createResources } from '../lib/resources.mjs';
import { quantile } from '../lib/stats.mjs';

// Random, so that a poller is not met at the same point of its interval each time.
const minHoldMs = 4;
const maxHoldMs = 14;
const limitMs = 60_000;

const summarizeLatencies = (/** @type {number[]} */ latencies) => ({
  p50: quantile(latencies, 0.5),
  p99: quantile(latencies, 0.99),
  max: quantile(latencies, 1),
  samples: latencies.length,
});

/** Keeps every core busy while `run` runs. */
async function besideBusyCores(/** @type {boolean} */ busy, /** @type {() => Promise<any>} */ run) {
  const job = { scenario: 'hand-over', role: 'spinner', adapter: '', params: {}, limitMs };
  const spinners = busy ? Array.from({ length: os.availableParallelism() }, () => new Worker(job)) : [];
  try {
    await Promise.all(spinners.map((spinner) => spinner.receive('spinning')));
    return await run();
  } finally {
    for (const spinner of spinners) spinner.kill();
  }
}

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'hand-over',
  title: 'Hand-over from one process to another',
  about:
    'One process holds the lock for 4 to 14 ms while another waits for it, over and over. The time is from just before ' +
    'the holder calls release to just after the waiter has the lock, on an idle machine and with every core kept busy ' +
    'by a spinning process. The C floor is two processes that block in flock(2).',
  cases: (full) => [
    { id: 'idle', title: 'idle cores', params: { busy: false, ms: full ? 1000 : 400 } },
    { id: 'busy', title: 'busy cores', params: { busy: true, ms: full ? 1000 : 400 } },
  ],
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
    const holder = new Worker({ ...job, role: 'holder' });
    const waiter = new Worker({ ...job, role: 'waiter' });
    try {
      return await besideBusyCores(params.busy, async () => {
        const latencies = [];
        const endUs = nowUs() + params.ms * 1000;
        do {
          holder.send('hold');
          await holder.receive('held');
          waiter.send('wait');
          await waiter.receive('waiting');
          holder.send('release');
          const granted = await waiter.receive('granted');
          latencies.push(granted - (await holder.receive('released')));
        } while (nowUs() < endUs);
        // The first is the slowest: code that never ran before.
        return summarizeLatencies(latencies.length > 1 ? latencies.slice(1) : latencies);
      });
    } finally {
      holder.kill();
      waiter.kill();
    }
  },

  async floor({ params, dir, programs }) {
    const [path] = createResources(dir, 1);
    const samples = Math.round(params.ms / ((minHoldMs + maxHoldMs) / 2));
    const args = [path, samples, minHoldMs * 1000, maxHoldMs * 1000];
    const stdout = await besideBusyCores(params.busy, () => runProgram(programs.handover, args, limitMs));
    return summarizeLatencies(stdout.trim().split('\n').map(Number));
  },

  roles: {
    async holder({ peer, params, channel }) {
      for (;;) {
        await channel.receive('hold');
        const release = await peer.acquire(params.path);
        channel.send('held');
        await channel.receive('release');
        await sleep(minHoldMs + Math.random() * (maxHoldMs - minHoldMs));
        const at = nowUs();
        await release();
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
