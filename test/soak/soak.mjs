// Four processes do everything wrong that can be done, for a while: npm run soak [-- SECONDS [SEED]]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findOverlaps, readLogs } from './verify.mjs';

const entry = new URL('../../dist/index.js', import.meta.url).href;
const program = fileURLToPath(new URL('./player.mjs', import.meta.url));
const players = 4;
const mostMemory = 48 * 2 ** 20;

function start(folder, seed, accountable) {
  const child = fork(program, [folder, String(seed), ...(accountable ? ['accountable'] : [])], {
    // They are warned of each leak.
    execArgv: ['--no-warnings'],
    env: { ...process.env, HOLDFAST_ENTRY: entry },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const player = {
    child,
    report: null,
    started: once(child, 'message'),
    exited: once(child, 'exit'),
  };
  child.on('message', (message) => {
    if (message !== 'started') player.report = message;
  });
  return player;
}

/** What is in the second list and not in the first, which may each have the same more than once. */
function added(before, after) {
  const left = [...before];
  return after.filter((file) => {
    const at = left.indexOf(file);
    if (at !== -1) left.splice(at, 1);
    return at === -1;
  });
}

/** What a process kept that was told to stop. */
function findKept({ report, child }) {
  if (report === null)
    return [`pid ${child.pid} ended by itself: ${child.exitCode ?? child.signalCode}`];
  const { before, after, held } = report;
  const kept = held === 0 ? [] : [`${held} locks`];
  if (before !== null) {
    if (after.threads > before.threads) kept.push(`${after.threads - before.threads} threads`);
    if (after.files.length > before.files.length) {
      kept.push(`descriptors: ${added(before.files, after.files)}`);
    }
    if (after.memory - before.memory > mostMemory)
      kept.push(`${after.memory - before.memory} bytes`);
  }
  return kept.map((what) => `pid ${child.pid} kept ${what}`);
}

/** Plays for that many seconds and says what went wrong. */
export async function soak({ seconds, seed }) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-soak-'));
  const killed = new Map();
  let lastSeed = seed;
  const begin = (accountable) => start(folder, ++lastSeed, accountable);
  // The first player is never killed: it has to account for what it kept.
  const crowd = Array.from({ length: players }, (_, place) => begin(place === 0));
  try {
    await Promise.all(crowd.map(({ started, exited }) => Promise.race([started, exited])));
    const end = performance.now() + seconds * 1_000;
    for (let place = 1; performance.now() < end; place = (place % (players - 1)) + 1) {
      await sleep(100 + ((lastSeed * 7919) % 500));
      const { child, exited } = crowd[place];
      // Its watchdog stands still as well; what it held is still held afterwards.
      child.kill('SIGSTOP');
      await sleep(30);
      child.kill('SIGCONT');
      await sleep(30);
      if (child.exitCode !== null) break;
      killed.set(child.pid, process.hrtime.bigint());
      child.kill('SIGKILL');
      await exited;
      crowd[place] = begin(false);
    }
    for (const { child } of crowd) if (child.connected) child.send('stop');
    await Promise.all(crowd.map(({ exited }) => exited));
    const { holds, failures } = readLogs(folder, killed);
    const problems = [...findOverlaps(holds), ...failures, ...crowd.flatMap(findKept)];
    return { seed, holds: holds.length, kills: killed.size, problems, report: crowd[0].report };
  } finally {
    for (const { child } of crowd) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [seconds = 60, seed = Date.now() % 100_000] = process.argv.slice(2).map(Number);
  const result = await soak({ seconds, seed });
  console.log(JSON.stringify(result, null, 2));
  process.exitCode = result.problems.length > 0 ? 1 : 0;
}
