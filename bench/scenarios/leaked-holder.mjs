import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { startHolder } from '../lib/waiters.mjs';

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'leaked-holder',
  title: 'A leaked chain in a live process',
  about:
    'A process takes the lock, then waits for a promise that never settles and that nothing refers to: its `finally` is ' +
    'never reached, and the process lives on, idle. The time is until another process has the lock. holdfast is measured ' +
    'as it comes, with `leakCheck: 1000` and with `lease: 1000`. A peer that goes by age takes the lock from a holder ' +
    'that is merely slow just as well. Where a peer keeps a FileHandle, Node.js closes it when the collector happens to ' +
    'run: after some 8 s in this young process without a word to anybody, never where a Map still holds it.',
  cases: (full) => [
    { id: 'live', title: 'idle live process', params: { limitMs: full ? 13_000 : 3000 } },
  ],
  rounds: () => 1,
  together: true,
  columns: [{ key: 's', title: 'until the next one has it', unit: 's' }],
  plots: [
    {
      case: 'live',
      column: 's',
      title: 'Leaked in a live process: until the next one has the lock',
    },
  ],

  async measure({ peer, params, dir }) {
    const limitMs = params.limitMs + 20_000;
    const { path, holder } = await startHolder('leaked-holder', peer, dir, limitMs);
    const leaked = nowUs();
    const job = {
      scenario: 'leaked-holder',
      role: 'waiter',
      adapter: peer.id,
      params: { path },
      limitMs,
    };
    const waiter = new Worker(job);
    try {
      const granted = await Promise.race([waiter.receive('granted'), sleep(params.limitMs, null)]);
      return {
        s: granted === null ? `not within ${params.limitMs / 1000} s` : (granted - leaked) / 1e6,
      };
    } finally {
      waiter.kill();
      holder.kill();
    }
  },

  roles: {
    async holder({ peer, params, channel }) {
      const chain = async () => {
        const release = await peer.acquire(params.path);
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
