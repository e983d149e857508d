// Shows the main job on real processes and real files: npm run demo
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lock } from '../dist/index.js';
import { leakStory } from './leak-story.mjs';

const writers = 8;
const turns = 25;
const program = fileURLToPath(new URL('./writer.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-'));
const children = new Set();

function start(...args) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.add(child);
  return child;
}

/** Counts what a reader of the session would find. */
function review(session) {
  const found = new Set();
  let torn = 0;
  for (const line of readFileSync(session, 'utf8').split('\n').filter(Boolean)) {
    try {
      const { writer, turn } = JSON.parse(line);
      found.add(`${writer} ${turn}`);
    } catch {
      torn += 1;
    }
  }
  return { lost: writers * turns - found.size, torn };
}

async function append(locked) {
  const session = join(folder, `${locked}.jsonl`);
  writeFileSync(session, '');
  const crowd = Array.from({ length: writers }, (_, number) =>
    start('append', session, `writer-${number}`, String(turns), locked),
  );
  await Promise.all(crowd.map((child) => once(child.stdout, 'data')));
  const began = performance.now();
  const ended = crowd.map((child) => once(child, 'exit'));
  for (const child of crowd) child.stdin.end('!');
  await Promise.all(ended);
  return { ...review(session), ms: performance.now() - began };
}

async function appendTogether() {
  console.log(`1. ${writers} processes append ${turns} numbered turns each to one session file,`);
  console.log('   each turn by reading the file, waiting a moment, and writing it back.\n');
  const bare = await append('unlocked');
  console.log(
    `   without a lock:  ${bare.lost} of ${writers * turns} turns lost, ${bare.torn} lines torn`,
  );
  const guarded = await append('locked');
  console.log(
    `   with withLock(): ${guarded.lost} of ${writers * turns} turns lost, ${guarded.torn} lines torn (${guarded.ms.toFixed(0)} ms)\n`,
  );
  if (guarded.lost > 0 || guarded.torn > 0) throw new Error('turns were lost under the lock');
}

async function killHolder() {
  const session = join(folder, 'killed.jsonl');
  const holder = start('hold', session, 'gateway-1');
  await once(holder.stdout, 'data');
  console.log('2. A process holds the session and is killed with SIGKILL while this one waits.\n');
  const waiting = lock(session);
  // Until the wait has reached the kernel.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const killed = performance.now();
  holder.kill('SIGKILL');
  const held = await waiting;
  const { pid, label } = held.previousHolder;
  console.log(`   granted ${(performance.now() - killed).toFixed(1)} ms after the kill;`);
  console.log(`   previousHolder: pid ${pid} ("${label}") never released it\n`);
  held.release();
}

async function timeOut() {
  const session = join(folder, 'busy.jsonl');
  const holder = start('hold', session, 'gateway-2');
  await once(holder.stdout, 'data');
  console.log('3. A process holds the session and lives on; this one waits for at most 300 ms.\n');
  const began = performance.now();
  const error = await lock(session, { timeout: 300 }).catch((reason) => reason);
  console.log(
    `   ${error.name} after ${(performance.now() - began).toFixed(0)} ms, code ${error.code}:`,
  );
  console.log(`   ${error.message.replace(session, 'busy.jsonl')}\n`);
  holder.kill();
}

try {
  console.log('');
  await appendTogether();
  await killHolder();
  await timeOut();
  await leakStory();
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
