import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { startHolder, waitingRoles } from '../lib/waiters.mjs';

// Random beyond that, so that a poller is not met at the same point of its interval each time.
const settleMs = 200;
const jitterMs = 200;
// Beyond that an age decides, and how much memory the holder had makes no difference.
const ageBasedMs = 5000;

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'killed-holder',
  title: 'The holder is killed',
  about:
    'A process holds the lock, with little memory and with 500 MB of it, and another waits. The holder is killed with ' +
    'SIGKILL; the time is until the waiter has the lock. The kernel lets go of a lock when it has torn down the dead ' +
    'process, which takes longer the more memory it had. Peers that go by age need as long as their age says.',
  cases: (full) => [
    { id: '0', title: 'small holder', params: { megabytes: 0, limitMs: full ? 12_000 : 1500 } },
    {
      id: '500',
      title: 'holder with 500 MB',
      fullOnly: true,
      params: { megabytes: 500, limitMs: full ? 12_000 : 1500 },
    },
  ],
  rounds: (full) => (full ? 2 : 1),
  columns: [{ key: 'ms', title: 'until the waiter has it', unit: 'ms' }],
  plots: [
    {
      case: '0',
      column: 'ms',
      title: 'Holder killed with SIGKILL: until the next one has the lock',
      log: true,
    },
  ],

  skip: (_peer, _params, earlier) =>
    earlier.some(({ ms }) => typeof ms !== 'number' || ms > ageBasedMs)
      ? 'goes by age, see the small holder'
      : null,

  async measure({ peer, params, dir }) {
    const limitMs = params.limitMs + 20_000;
    const { path, holder } = await startHolder('killed-holder', peer, dir, limitMs, {
      megabytes: params.megabytes,
    });
    const job = {
      scenario: 'killed-holder',
      role: 'waiter',
      adapter: peer.id,
      params: { path },
      limitMs,
    };
    const waiter = new Worker(job);
    try {
      await waiter.receive('waiting');
      await sleep(settleMs + Math.random() * jitterMs);
      const killed = nowUs();
      process.kill(holder.pid, 'SIGKILL');
      const granted = await Promise.race([waiter.receive('granted'), sleep(params.limitMs, null)]);
      return {
        ms: granted === null ? `not within ${params.limitMs / 1000} s` : (granted - killed) / 1000,
      };
    } finally {
      waiter.kill();
      holder.kill();
    }
  },

  roles: {
    ...waitingRoles,
    async waiter({ peer, params, channel }) {
      const acquired = peer.acquire(params.path);
      channel.send('waiting');
      await acquired;
      channel.send('granted', nowUs());
    },
  },
};
