import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '../lib/children.mjs';
import { startHolder, waitingRoles } from '../lib/waiters.mjs';

const settleMs = 1000;

const hasStrace = (() => {
  try {
    execFileSync('strace', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** CPU time of a process, all threads, from outside: a timer inside would be CPU time of its own. */
const cpuUs = (/** @type {number} */ pid) =>
  readdirSync(`/proc/${pid}/task`).reduce(
    (sum, thread) =>
      sum +
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000,
    0,
  );

/** Calls that a trace shows as begun between two moments (milliseconds of the wall clock). */
function countCalls(
  /** @type {string} */ trace,
  /** @type {number} */ from,
  /** @type {number} */ to,
) {
  return readFileSync(trace, 'utf8')
    .split('\n')
    .filter((line) => {
      const [, seconds, rest] = /^\d+\s+([\d.]+) (.*)/.exec(line) ?? [];
      const at = Number(seconds) * 1000;
      return (
        at >= from &&
        at <= to &&
        !rest.startsWith('<...') &&
        !rest.startsWith('---') &&
        !rest.startsWith('+++')
      );
    }).length;
}

/** @param {object} job @param {string} dir @param {number} ms */
async function observe(job, dir, ms) {
  const trace = join(dir, 'trace');
  const under = ['strace', '-f', '-ttt', '-o', trace];
  const plain = new Worker(job);
  const traced = hasStrace ? new Worker({ ...job, under }) : null;
  try {
    await Promise.all([plain.receive('waiting'), traced?.receive('waiting')]);
    await sleep(settleMs);
    const from = Date.now();
    const cpuBefore = cpuUs(plain.pid);
    await sleep(ms);
    const cpu = cpuUs(plain.pid) - cpuBefore;
    const to = Date.now();
    traced?.kill();
    return { cpuUs: cpu, calls: traced ? countCalls(trace, from, to) : 'no strace' };
  } finally {
    plain.kill();
    traced?.kill();
  }
}

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'waiting',
  title: 'Waiting costs',
  about:
    'A process waits for a lock that another keeps. One second after it began to wait, its CPU time (of all its ' +
    'threads) and its system calls (counted by strace, in a second process that waits too) are counted for 5 s. What a ' +
    'Node.js process does that waits for nothing stands beside it.',
  cases: (full) => [{ id: 'one', title: full ? '5 s' : '1 s', params: { ms: full ? 5000 : 1000 } }],
  rounds: () => 1,
  together: true,
  columns: [
    { key: 'calls', title: 'system calls' },
    { key: 'cpuUs', title: 'CPU', unit: 'µs' },
  ],

  async measure({ peer, params, dir }) {
    const limitMs = params.ms + 30_000;
    const { path, holder } = await startHolder('waiting', peer, dir, limitMs);
    try {
      const job = {
        scenario: 'waiting',
        role: 'waiter',
        adapter: peer.id,
        params: { path },
        limitMs,
      };
      return await observe(job, dir, params.ms);
    } finally {
      holder.kill();
    }
  },

  baseline: ({ params, dir }) =>
    observe(
      { scenario: 'waiting', role: 'idler', adapter: '', params: {}, limitMs: params.ms + 30_000 },
      dir,
      params.ms,
    ),

  roles: {
    ...waitingRoles,
    async waiter({ peer, params, channel }) {
      const acquired = peer.acquire(params.path);
      channel.send('waiting');
      await acquired;
      throw new Error('was granted a lock that another process holds');
    },
    async idler({ channel }) {
      channel.send('waiting');
      await new Promise(() => {});
    },
  },
};
