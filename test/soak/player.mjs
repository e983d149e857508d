// One process of the soak: does what a careless program does, until it is told to stop or killed.
// node player.mjs FOLDER SEED [accountable]
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { logTo } from './log.mjs';

const { heldLocks, lock, lockSync, reclaimLeaked, releaseAll, tryLock, withLock } = await import(
  process.env.HOLDFAST_ENTRY
);

const [folder, seed, accountable] = process.argv.slice(2);
const log = logTo(join(folder, `log-${process.pid}`));
const worker = fileURLToPath(new URL('./worker.mjs', import.meta.url));

let state = Number(seed);
/** A number from 0 up to, but not including, `below`; the same for the same seed. */
function random(below) {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return (state >>> 8) % below;
}

const resource = () => join(folder, `resource-${random(3)}`);

async function hold(held) {
  const leave = log.enter(held, 'kept');
  if (random(2) === 0) await sleep(random(3));
  leave();
}

async function holdAndRelease(held) {
  if (held === null) return;
  await hold(held);
  held.release();
}

function block(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

async function leak() {
  log.enter(await lock(resource(), { timeout: 500 }), 'leaked');
}

const acts = [
  () => withLock(resource(), { timeout: 500 }, hold),
  () => withLock(resource(), { timeout: 500, mode: 'shared' }, hold),
  async () => holdAndRelease(tryLock(resource())),
  // Given up while it waits, sometimes in the very moment of the grant.
  async () => holdAndRelease(await lock(resource(), { signal: AbortSignal.timeout(random(4)) })),
  async () => holdAndRelease(lockSync(resource(), { timeout: random(20) })),
  // Nests, in two tasks.
  async () => {
    const path = resource();
    await withLock(path, { timeout: 500 }, async (outer) => {
      const leave = log.enter(outer, 'kept');
      const nest = () => withLock(path, { reentrant: true }, () => sleep(random(2)));
      await Promise.all([nest(), nest()]);
      leave();
    });
  },
  // Never settles, and loses its lease.
  () =>
    withLock(resource(), { timeout: 500, lease: 20 }, (held) => {
      log.enterLeased(held, 20);
      return new Promise(() => {});
    }),
  // Blocks its event loop past its lease.
  () =>
    withLock(resource(), { timeout: 500, lease: 5 }, (held) => {
      log.enterLeased(held, 5);
      block(10);
    }),
  leak,
  // Leaks, and notices.
  async () => {
    await leak();
    await sleep(random(20));
    await reclaimLeaked();
  },
  // A worker that is terminated while it waits or holds.
  async () => {
    const id = log.nextId();
    const thread = new Worker(worker, {
      workerData: { id, resource: resource(), sync: random(3) === 0, log: log.path },
    });
    await new Promise((resolve) => thread.once('message', resolve));
    await sleep(random(6));
    log.leave(id);
    await thread.terminate();
  },
];

// Anything else that goes wrong is a fault of the library.
const expected = ['ERR_LOCK_TIMEOUT', 'ERR_LOCK_EXPIRED', 'EDEADLK'];

async function play() {
  // Rare acts are rare, or nobody would ever get anywhere.
  const act = acts[random(10) < 7 ? random(6) : random(acts.length)];
  try {
    await act();
  } catch (error) {
    if (!expected.includes(error.code) && error.name !== 'TimeoutError') log.fail(error);
  }
}

/** Plays until told to stop; three tasks at once. */
async function playUntil(stopped) {
  await Promise.all(
    [1, 2, 3].map(async () => {
      while (!stopped()) await play();
    }),
  );
}

/** Lets go of everything; threads that wait for others end with those. */
async function settle() {
  await sleep(150);
  releaseAll();
  await reclaimLeaked();
  // The watchdog ends within two seconds of the last lease.
  await sleep(2_200);
}

function openFiles() {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${descriptor}`);
      // Node 26 had its own program open twice at the end, now and then: nothing here opens that.
      return file === process.execPath ? [] : [file];
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

let stop = false;
process.on('message', (message) => {
  if (message === 'stop') stop = true;
});

let before = null;
if (accountable) {
  // What the first acts leave for good (threads of the pool, compiled code) is not a leak.
  const warm = performance.now() + 700;
  await playUntil(() => performance.now() > warm);
  await settle();
  before = resources();
}
process.send('started');
await playUntil(() => stop);
await settle();
process.send({ before, after: resources(), held: heldLocks().length });
process.disconnect();
