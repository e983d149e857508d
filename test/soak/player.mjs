// One process of the soak: does what a careless program does, until it is told to stop or killed.
// Every hold is logged with times that all processes share: node player.mjs FOLDER SEED
import { appendFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

const { heldLocks, lock, reclaimLeaked, releaseAll, tryLock, withLock } = await import(
  process.env.HOLDFAST_ENTRY
);

const [folder, seed] = process.argv.slice(2);
const log = join(folder, `log-${process.pid}`);
const worker = fileURLToPath(new URL('./worker.mjs', import.meta.url));
process.on('warning', () => {});

let state = Number(seed);
/** A number from 0 up to, but not including, `below`; the same for the same seed. */
function random(below) {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return (state >>> 8) % below;
}

const resource = () => join(folder, `resource-${random(3)}`);
const now = () => String(process.hrtime.bigint());

function enter(held) {
  const entry = { resource: held.resource, token: String(held.token), mode: held.mode };
  const line = `${JSON.stringify({ event: 'enter', at: now(), ...entry })}\n`;
  // A process that had to wait for a core may be late: its lease has run out.
  if (held.held) appendFileSync(log, line);
  return () => appendFileSync(log, `${JSON.stringify({ event: 'leave', at: now(), ...entry })}\n`);
}

async function hold(held) {
  const leave = enter(held);
  if (random(2) === 0) await sleep(random(3));
  leave();
}

const acts = [
  () => withLock(resource(), { timeout: 500 }, hold),
  () => withLock(resource(), { timeout: 500, mode: 'shared' }, hold),
  async () => {
    const held = tryLock(resource());
    if (held === null) return;
    await hold(held);
    held.release();
  },
  // Given up while it waits, sometimes in the very moment of the grant.
  async () => {
    const held = await lock(resource(), { signal: AbortSignal.timeout(random(4)) }).catch(
      () => null,
    );
    if (held === null) return;
    await hold(held);
    held.release();
  },
  // Never settles, and loses its lease.
  () =>
    withLock(resource(), { timeout: 500, lease: 20 }, (held) => {
      enter(held);
      return new Promise(() => {});
    }),
  // Blocks its event loop past its lease.
  () =>
    withLock(resource(), { timeout: 500, lease: 5 }, (held) => {
      enter(held);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }),
  // Leaks, and notices.
  async () => {
    const held = await lock(resource(), { timeout: 500 });
    enter(held);
  },
  () => reclaimLeaked(),
  // A worker that is terminated while it waits or holds.
  async () => {
    const thread = new Worker(worker, { workerData: { resource: resource(), log } });
    // It may have waited in vain.
    thread.once('error', () => {});
    await new Promise((resolve) => thread.once('message', resolve));
    await sleep(random(3));
    await thread.terminate();
  },
];

function openFiles() {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/self/fd/${descriptor}`)];
    } catch {
      // The one through which the folder was read.
      return [];
    }
  });
}

const resources = () => ({
  threads: readdirSync('/proc/self/task').length,
  files: openFiles(),
  memory: process.memoryUsage().rss,
});

async function play() {
  // Rare acts are rare, or nobody would ever get anywhere.
  const act = random(10) < 7 ? acts[random(4)] : acts[random(acts.length)];
  await act().catch(() => {});
}

/** Plays until told to stop; three tasks at once. */
async function playUntil(stopped) {
  await Promise.all(
    [1, 2, 3].map(async () => {
      while (!stopped()) await play();
    }),
  );
}

let stop = false;
process.on('message', (message) => {
  if (message === 'stop') stop = true;
});

// What the first acts leave for good (threads of the pool, compiled code) is not a leak.
const warm = performance.now() + 700;
await playUntil(() => stop || performance.now() > warm);
await settle();
const before = resources();
process.send('started');
await playUntil(() => stop);
await settle();
process.send({ before, after: resources(), held: heldLocks().length });
process.disconnect();

/** Lets go of everything; threads that wait for others end with those. */
async function settle() {
  await sleep(150);
  releaseAll();
  await reclaimLeaked();
  // The watchdog ends a second after the last lease.
  await sleep(1_500);
}
