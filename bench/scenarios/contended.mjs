import { openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProgram, runTogether } from '../lib/children.mjs';
import { nowUs } from '../lib/clock.mjs';
import { countOverlaps } from '../lib/intervals.mjs';
import { createResources } from '../lib/resources.mjs';
import { startTogether } from '../lib/start.mjs';
import { quantile } from '../lib/stats.mjs';

// Far more than a process can reach in the time; it bounds the memory of one that locks without waiting.
const capacity = 3_000_000;
// For those who still wait when the time is over; a peer that needs longer is stuck.
const graceMs = 15_000;

/** @typedef {{ log: Float64Array, cpuUs: number }} Outcome  log: triples of asked, granted and released */

function prepare(/** @type {string} */ dir) {
  const [path] = createResources(dir, 1);
  const counter = join(dir, 'counter');
  writeFileSync(counter, Buffer.alloc(8));
  return { path, counter };
}

/**
 * @param {Outcome[]} outcomes
 * @param {number} ms
 * @param {string} counter
 */
function evaluate(outcomes, ms, counter) {
  const startUs = Math.min(...outcomes.map(({ log }) => log[0] ?? Number.POSITIVE_INFINITY));
  const endUs = startUs + ms * 1000;
  const waits = [];
  const holds = [];
  const inTime = outcomes.map(({ log }) => {
    let count = 0;
    for (let i = 0; i < log.length; i += 3) {
      const [asked, granted, released] = log.subarray(i, i + 3);
      waits.push(granted - asked);
      holds.push({ granted, released });
      if (granted < endUs) count++;
    }
    return count;
  });
  const total = inTime.reduce((sum, count) => sum + count, 0);
  const cpuUs = outcomes.reduce((sum, outcome) => sum + outcome.cpuUs, 0);
  return {
    perSecond: total / (ms / 1000),
    p50: quantile(waits, 0.5),
    p99: quantile(waits, 0.99),
    max: quantile(waits, 1) / 1000,
    fairness: Math.min(...inTime) / Math.max(...inTime),
    cpuUs: cpuUs / holds.length,
    lost: holds.length - Number(readFileSync(counter).readBigUInt64LE()),
    overlaps: countOverlaps(holds),
  };
}

// A lock that loses updates is no measure of speed.
const sound = { lost: 0, overlaps: 0 };

const situation = (
  /** @type {number} */ processes,
  /** @type {number} */ pauseMs,
  /** @type {boolean} */ full,
) => ({
  id: `${processes}-${pauseMs ? 'pauses' : 'tight'}`,
  title: `${processes} processes, ${pauseMs ? '1 ms pauses' : 'tight loops'}`,
  // In a tight loop most of the first 100 ms is code that has hardly run yet.
  params: { processes, pauseMs, ms: full ? (pauseMs ? 500 : 2000) : 250 },
});

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  name: 'contended',
  title: 'Processes that fight for one lock',
  about:
    'Each process waits for the lock, adds one to a number in a file (read, then write), releases and begins again, at ' +
    'once or after 1 ms. Waits are from asking to having it. Fairness is the least number of locks that a process got, ' +
    'divided by the greatest. Lost updates are increments that are missing in the file; overlaps are moments with two ' +
    'holders, from timestamps of one clock. CPU is that of the locking processes; of the commands that flock(1) starts ' +
    'it is not counted.',
  cases: (full) => [
    { ...situation(2, 0, full), fullOnly: true },
    situation(8, 0, full),
    situation(2, 1, full),
    { ...situation(8, 1, full), fullOnly: true },
  ],
  rounds: (full) => (full ? 3 : 1),
  columns: [
    { key: 'perSecond', title: 'locks/s' },
    { key: 'p50', title: 'wait p50', unit: 'µs' },
    { key: 'p99', title: 'wait p99', unit: 'µs' },
    { key: 'max', title: 'wait max', unit: 'ms' },
    { key: 'fairness', title: 'fairness' },
    { key: 'cpuUs', title: 'CPU per lock', unit: 'µs' },
    { key: 'lost', title: 'lost updates' },
    { key: 'overlaps', title: 'overlaps' },
  ],
  plots: [
    {
      case: '8-tight',
      column: 'perSecond',
      title: 'Locks per second, 8 processes in tight loops',
      log: true,
      more: true,
      sound,
    },
    {
      case: '8-tight',
      column: 'max',
      title: 'Longest wait, 8 processes in tight loops',
      log: true,
      sound,
    },
    {
      case: '8-tight',
      column: 'fairness',
      title: 'Fairness (least / most), 8 processes in tight loops',
      more: true,
      sound,
    },
  ],

  async measure({ peer, params, dir }) {
    const { path, counter } = prepare(dir);
    const job = {
      scenario: 'contended',
      role: 'contender',
      adapter: peer.id,
      limitMs: params.ms + graceMs,
    };
    const outcomes = await runTogether(
      Array.from({ length: params.processes }, () => ({
        ...job,
        params: { ...params, path, counter },
      })),
    );
    return evaluate(outcomes, params.ms, counter);
  },

  async floor({ params, dir, programs }) {
    const { path, counter } = prepare(dir);
    /** @type {(() => void)[]} */
    const starters = [];
    let ready = () => {};
    const allReady = new Promise((resolve) => {
      ready = resolve;
    });
    const runs = Array.from({ length: params.processes }, async (_, i) => {
      const log = join(dir, `log-${i}`);
      const args = [path, counter, params.ms, params.pauseMs * 1000, log];
      const stdout = await runProgram(programs.contender, args, params.ms + graceMs, (child) => {
        child.stdout.once('data', () => {
          starters.push((startUs) => child.stdin.end(`${startUs}\n`));
          if (starters.length === params.processes) ready();
        });
      });
      const bytes = readFileSync(log);
      const triples = new Float64Array(
        bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
      );
      return { log: triples, cpuUs: Number(stdout.trim().split('\n').at(-1)) };
    });
    const outcomes = Promise.all(runs);
    // Whichever is first: all of them ready, or one failed.
    await Promise.race([allReady, outcomes]);
    const startUs = nowUs() + 20_000;
    for (const start of starters) start(startUs);
    return evaluate(await outcomes, params.ms, counter);
  },

  roles: {
    async contender({ peer, params, channel }) {
      const counter = openSync(params.counter, 'r+');
      const bytes = Buffer.alloc(8);
      const log = new Float64Array(capacity * 3);
      const endUs = (await startTogether(channel)) + params.ms * 1000;
      const before = process.resourceUsage();
      let at = 0;
      for (let asked = nowUs(); asked < endUs && at < log.length; asked = nowUs(), at += 3) {
        const release = await peer.acquire(params.path);
        const granted = nowUs();
        readSync(counter, bytes, 0, 8, 0);
        bytes.writeBigUInt64LE(bytes.readBigUInt64LE() + 1n);
        writeSync(counter, bytes, 0, 8, 0);
        const released = nowUs();
        await release();
        log[at] = asked;
        log[at + 1] = granted;
        log[at + 2] = released;
        if (params.pauseMs) await sleep(params.pauseMs);
      }
      const after = process.resourceUsage();
      const cpuUs =
        after.userCPUTime + after.systemCPUTime - before.userCPUTime - before.systemCPUTime;
      return { log: log.slice(0, at), cpuUs };
    },
  },
};
