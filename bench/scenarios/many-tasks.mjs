import { setTimeout as sleep } from 'node:timers/promises';
import { runTogether } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { createResources } from '../lib/resources.mjs';
import { startTogether } from '../lib/start.mjs';

const exclusionCheckMs = 150;
// Code that has hardly run yet costs more than the lock.
const warmUpMs = 300;

/** Whether a second task of this process gets the lock while the first still has it. */
async function letsTwoIn(
  /** @type {import('../lib/peers.mjs').Adapter} */ peer,
  /** @type {string} */ path,
) {
  const first = await peer.acquire(path);
  let second = null;
  const pending = peer.acquire(path).then((release) => (second = release));
  await sleep(exclusionCheckMs);
  const both = second !== null;
  await first();
  await (await pending)();
  return both;
}

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'many-tasks',
  title: 'Many tasks of one process, one lock',
  about:
    '100 and 1,000 tasks of one process ask for the same lock at once, and each lets go as soon as it has it. Time is ' +
    'for each task, over those that were served within the time limit. Beforehand a second task asks while a first one ' +
    'holds: "lets two in" means that both had the lock, so that the time is that of no lock at all. A peer that blocks ' +
    'in the thread pool of Node.js can be stuck: four waiters leave no thread for the release.',
  cases: (full) =>
    [100, 1000].map((tasks) => ({
      id: `${tasks}`,
      title: `${tasks.toLocaleString('en')} tasks`,
      fullOnly: tasks === 100,
      params: { tasks, budgetMs: full ? 1500 : 500 },
    })),
  rounds: (full) => (full ? 2 : 1),
  columns: [
    { key: 'us', title: 'for each task', unit: 'µs' },
    { key: 'served', title: 'served in time' },
    { key: 'exclusion', title: 'exclusion' },
  ],
  plots: [
    {
      case: '1000',
      column: 'us',
      title: '1,000 tasks of one process on one lock: time for each',
      log: true,
      sound: { exclusion: 'yes' },
    },
  ],

  skip: ({ processPerLock }, { tasks }) =>
    processPerLock && tasks > 100 ? 'a process for each lock' : null,

  async measure({ peer, params, dir }) {
    const [path] = createResources(dir, 1);
    const job = {
      scenario: 'many-tasks',
      role: 'tasks',
      adapter: peer.id,
      limitMs: params.budgetMs + 5000,
    };
    return (await runTogether([{ ...job, params: { ...params, path } }]))[0];
  },

  roles: {
    async tasks({ peer, params, channel }) {
      const two = await letsTwoIn(peer, params.path);
      await startTogether(channel);
      for (const end = nowUs() + warmUpMs * 1000; nowUs() < end; ) {
        const once = async () => (await peer.acquire(params.path))();
        await Promise.all(Array.from({ length: 20 }, once));
      }
      let served = 0;
      let lastUs = 0;
      const task = async () => {
        const release = await peer.acquire(params.path);
        served++;
        await release();
        lastUs = nowUs();
      };
      const start = nowUs();
      const all = Promise.all(Array.from({ length: params.tasks }, task));
      await Promise.race([all, sleep(params.budgetMs)]);
      // Stuck is stuck: a mean over the first few would look like a figure.
      const stuck = lastUs < start + params.budgetMs * 500 && served < params.tasks;
      return {
        us: stuck ? null : (lastUs - start) / served,
        served: stuck ? `stuck after ${served}` : served,
        exclusion: two ? 'lets two in' : 'yes',
      };
    },
  },
};
