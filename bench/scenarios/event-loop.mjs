import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { runTogether } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { createResources } from '../lib/resources.mjs';
import { startTogether } from '../lib/start.mjs';

const limitMs = 30_000;

async function run(adapter, params, dir) {
  const [path] = createResources(dir, 1);
  const job = { scenario: 'event-loop', role: 'locker', adapter, limitMs };
  return (await runTogether([{ ...job, params: { ...params, path } }]))[0];
}

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'event-loop',
  title: 'Event-loop delay while locking in a loop',
  about:
    'One process locks and releases without anybody else there, as fast as it can and with one turn of the event loop ' +
    'after each lock, while `perf_hooks.monitorEventLoopDelay` watches at 1 ms. An idle process shows what the monitor ' +
    'itself adds. A promise that is resolved at once gives the loop no turn: a program that does nothing but lock, ' +
    'without any other work to wait for, keeps its loop to itself.',
  cases: (full) =>
    [false, true].map((turn) => ({
      id: turn ? 'turns' : 'tight',
      title: turn ? 'one turn of the loop after each lock' : 'nothing but locks',
      fullOnly: !turn,
      params: { turn, ms: full ? 400 : 300 },
    })),
  rounds: (full) => (full ? 2 : 1),
  columns: [
    { key: 'p99', title: 'delay p99', unit: 'ms' },
    { key: 'max', title: 'delay max', unit: 'ms' },
    { key: 'perSecond', title: 'locks/s' },
  ],
  plots: [
    { case: 'turns', column: 'p99', title: 'Event-loop delay p99, one turn after each lock' },
  ],

  measure: ({ peer, params, dir }) => run(peer.id, params, dir),
  baseline: ({ params, dir }) => run('', params, dir),

  roles: {
    async locker({ peer, params, channel }) {
      await startTogether(channel);
      const monitor = monitorEventLoopDelay({ resolution: 1 });
      monitor.enable();
      // The monitor records what lies between two of its ticks: the first must be over.
      await sleep(10);
      const endUs = nowUs() + params.ms * 1000;
      let done = 0;
      if (peer === null) await sleep(params.ms + 1);
      while (nowUs() < endUs) {
        const release = await peer.acquire(params.path);
        await release();
        done++;
        if (params.turn) await new Promise(setImmediate);
      }
      // A delay is recorded when it is over.
      await sleep(5);
      monitor.disable();
      return {
        p99: monitor.percentile(99) / 1e6,
        max: monitor.max / 1e6,
        perSecond: peer === null ? null : done / (params.ms / 1000),
      };
    },
  },
};
