import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { startHolder } from '../lib/waiters.mjs';

/** Seconds until a waiter has a lock that a live process took in this way and then leaked. */
async function secondsUntilGranted(peer, way, dir, params) {
  const limitMs = params.limitMs + 20_000;
  const { path, holder } = await startHolder('leaked-holder', peer, dir, limitMs, { way });
  const leaked = nowUs();
  const job = { scenario: 'leaked-holder', role: 'waiter', adapter: peer.id, params: { path }, limitMs };
  const waiter = new Worker(job);
  try {
    const granted = await Promise.race([waiter.receive('granted'), sleep(params.limitMs, null)]);
    return granted === null ? `not within ${params.limitMs / 1000} s` : (granted - leaked) / 1e6;
  } catch (error) {
    return error.message;
  } finally {
    waiter.kill();
    holder.kill();
  }
}

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'leaked-holder',
  title: 'A leaked chain in a live process',
  about:
    'A process takes the lock, then waits for a promise that never settles and that nothing refers to: its `finally` is ' +
    'never reached, and the process lives on, idle. The time is until another process has the lock. holdfast is measured ' +
    'as it comes, with `leakCheck: 1000` and with `lease: 1000`; no peer has anything like it. A peer that steals by age ' +
    'would steal from a slow holder just as well.',
  cases: (full) => [{ id: 'live', title: 'idle live process', params: { limitMs: full ? 13_000 : 3000 } }],
  rounds: () => 1,
  together: true,
  columns: [
    { key: 'plain', title: 'as it comes', unit: 's' },
    { key: 'leakCheck', title: 'leakCheck 1 s', unit: 's' },
    { key: 'lease', title: 'lease 1 s', unit: 's' },
  ],

  async measure({ peer, params, dir }) {
    const ways = ['plain', ...Object.keys(peer.selfHealing ?? {})];
    const seconds = await Promise.all(ways.map((way) => secondsUntilGranted(peer, way, `${dir}/${way}`, params)));
    return Object.fromEntries(ways.map((way, i) => [way, seconds[i]]));
  },

  roles: {
    async holder({ peer, params, channel }) {
      const acquire = params.way === 'plain' ? peer.acquire : peer.selfHealing[params.way];
      const chain = async () => {
        const release = await acquire(params.path);
        try {
          channel.send('held');
          await new Promise(() => {});
        } finally {
          await release();
        }
      };
      chain();
      // Not the chain: awaiting it here would keep it reachable.
      await channel.receive('end');
    },

    async waiter({ peer, params, channel }) {
      await peer.acquire(params.path);
      channel.send('granted', nowUs());
    },
  },
};
