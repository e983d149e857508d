import { on } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { lock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';
import { startModule } from './helpers/program.js';
import { atBest, slowness } from './helpers/slowness.js';

/** How long a scope that leaked keeps its lock under a `leakCheck` of one second. */
async function holdOfLeaked(): Promise<number> {
  const resource = temporaryResource();
  const actor = await Actor.start();
  const since = await actor.run(async ({ holdfast, kept }, path) => {
    // Something that lives on, as a server does.
    kept.interval = setInterval(() => {}, 60_000);
    const entered = new Promise<void>((resolve) => {
      void holdfast.withLock(path, { leakCheck: 1_000 }, () => {
        resolve();
        return new Promise(() => {});
      });
    });
    await entered;
    return Date.now();
  }, resource);
  await using _ = await lock(resource);
  return Date.now() - since;
}

test('leakCheck frees what an idle process leaked, for a waiter of another one', async () => {
  const limit = 1_500 * slowness;
  expect(await atBest(limit, holdOfLeaked)).toBeLessThan(limit);
});

test('leakCheck leaves a slow holder alone', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  const held = actor.run(
    ({ holdfast }, path) =>
      holdfast.withLock(path, { leakCheck: 1_000 }, async (lock) => {
        await new Promise((resolve) => setTimeout(resolve, 5_000));
        lock.assertHeld();
        return 'still held';
      }),
    resource,
  );
  await expect(held).resolves.toBe('still held');
});

// Before the library is loaded: a clock that runs 300 times as fast, for it and for its addon, which
// has one of its own. `taken` is called at each turn, with the real time in ms before and after.
const speed = 300;
const fast = `
const speed = ${speed};
const { setTimeout: realTimeout, performance } = globalThis;
const realNow = performance.now.bind(performance);
performance.now = () => realNow() * speed;
globalThis.setTimeout = (fn, ms, ...rest) => realTimeout(fn, ms / speed, ...rest);
const load = process.dlopen;
let taken = () => {};
process.dlopen = (module, ...rest) => {
  load.call(process, module, ...rest);
  const { takeCollection } = module.exports;
  module.exports.takeCollection = (interval) => {
    // Whole ms of the one clock that threads share everywhere.
    const before = Date.now();
    const wait = takeCollection(interval / speed) * speed;
    taken(wait, before, Date.now() + 1);
    return wait;
  };
};
`;

type Turn = [before: number, after: number];

test('leakCheck collects at most once a minute, and again at doubling ages', async () => {
  const program = startModule(
    `${fast}
    const turns = [];
    taken = (wait, before, after) => wait === 0 && turns.push([before, after]);
    const { tryLock } = await import(process.env.HOLDFAST_ENTRY);
    globalThis.held = tryLock(process.argv.at(-1), { leakCheck: 1_000 });
    // Not before: what taking it takes on a slow machine is not age.
    const since = Date.now();
    await new Promise((resolve) => realTimeout(resolve, 300_000 / speed));
    console.log(JSON.stringify(turns.map((times) => times.map((at) => at - since))));`,
    temporaryResource(),
  );
  const { stdout } = await program.ended;
  const [first, second, third, ...later] = JSON.parse(stdout) as [Turn, Turn, Turn, ...Turn[]];
  // After a second; a minute after that; then whenever the age has doubled.
  expect(second[1] - first[0]).toBeGreaterThanOrEqual(60_000 / speed);
  expect(third[1] - second[0]).toBeGreaterThanOrEqual(60_000 / speed);
  for (const [, at] of later) expect(at).toBeGreaterThan(1.98 * third[0]);
  expect(later.length).toBeLessThan(2);
});

test('a collection that was asked for puts the next one in the background off by a minute', async () => {
  const program = startModule(
    `${fast}
    const { reclaimLeaked, tryLock } = await import(process.env.HOLDFAST_ENTRY);
    const since = Date.now();
    await reclaimLeaked();
    const turn = new Promise((resolve) => {
      taken = (wait, before, after) => wait === 0 && resolve(after - since);
    });
    globalThis.held = tryLock(process.argv.at(-1), { leakCheck: 1_000 });
    setInterval(() => {}, 1_000);
    console.log(await turn);
    process.exit();`,
    temporaryResource(),
  );
  const { stdout } = await program.ended;
  expect(Number(stdout)).toBeGreaterThanOrEqual(60_000 / speed);
});

test('leakCheck does not look again for what it has freed', async () => {
  const program = startModule(
    `${fast}
    const { tryLock } = await import(process.env.HOLDFAST_ENTRY);
    process.removeAllListeners('warning');
    const freed = new Promise((resolve) => process.once('warning', resolve));
    const leak = () => void tryLock(process.argv.at(-1), { leakCheck: 1_000 });
    leak();
    setInterval(() => {}, 1_000);
    await freed;
    let turns = 0;
    taken = () => { turns += 1; };
    await new Promise((resolve) => realTimeout(resolve, 150_000 / speed));
    console.log(turns);
    process.exit();`,
    temporaryResource(),
  );
  const { stdout } = await program.ended;
  expect(stdout).toBe('0\n');
});

// Other threads are before this one at all times.
const late = `
${fast}
const loadFast = process.dlopen;
let asked = () => {};
let left = () => {};
process.dlopen = (module, ...rest) => {
  loadFast.call(process, module, ...rest);
  module.exports.takeCollection = (interval) => {
    asked();
    return interval;
  };
  module.exports.leaveCollections = () => left();
};
`;

test('a thread whose turn is yet to come asks again then, or leaves where it has nothing to look for any more', async () => {
  const program = startModule(
    `${late}
    const { tryLock } = await import(process.env.HOLDFAST_ENTRY);
    globalThis.held = tryLock(process.argv.at(-1), { leakCheck: 1_000 });
    const times = [];
    asked = () => {
      times.push(Date.now());
      if (times.length === 3) setImmediate(() => held.release());
    };
    setInterval(() => {}, 1_000);
    // Also before that: a timer may be early, and nothing is due then.
    await new Promise((resolve) => { left = () => times.length === 3 && resolve(); });
    console.log(JSON.stringify(times));
    process.exit();`,
    temporaryResource(),
  );
  const { stdout } = await program.ended;
  const times: number[] = JSON.parse(stdout);
  expect(times).toHaveLength(3);
  for (const [index, at] of times.slice(1).entries()) {
    // About a minute: in one of this clock a timer may be early by a second.
    expect(at - (times[index] ?? 0)).toBeGreaterThan(30_000 / speed);
  }
});

interface Message {
  name: string;
  leaked?: boolean;
  asked?: boolean;
  /** Around the moment at which it took its turn, in ms. */
  before: number;
  after: number;
}

// Each of the threads has something to look for at all times, and one lock that leaked.
const thread = `
${fast}
import { parentPort, workerData } from 'node:worker_threads';
const { resource, fate } = workerData;
const tell = (message) => parentPort.postMessage({ name: resource, ...message });
let asked = false;
taken = (wait, before, after) => {
  if (wait === 0) return tell({ before, after });
  if (asked || fate === 'lives') return;
  asked = true;
  // Now it has a place before others, and will never take its turn.
  tell({ asked });
  if (fate === 'is blocked') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};
const { tryLock } = await import(process.env.HOLDFAST_ENTRY);
const leak = () => void tryLock(resource, { leakCheck: 1_000 });
leak();
tell({ leaked: true });
const kept = [];
setInterval(() => kept.push(tryLock(resource + '-' + kept.length, { leakCheck: 1_000 })), 20);
`;

test('leakCheck collects at most once a minute in all threads together, and starves none of them', async () => {
  const resource = temporaryResource();
  const program = startModule(
    `import { Worker } from 'node:worker_threads';
    const url = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(thread)}));
    const resource = process.argv.at(-1);
    for (const fate of ['lives', 'is terminated', 'is blocked', 'lives too', 'lives as well']) {
      const workerData = { resource: resource + '-' + fate.replaceAll(' ', '-'), fate: fate.replace(/ (too|as well)$/, '') };
      const worker = new Worker(url, { workerData });
      worker.on('message', (message) => {
        console.log(JSON.stringify(message));
        if (message.asked && fate === 'is terminated') worker.terminate();
      });
    }
    process.removeAllListeners('warning').on('warning', () => {});
    setInterval(() => {}, 1_000);`,
    resource,
  );
  const messages: Message[] = [];
  const lines = createInterface({ input: program.child.stdout as Readable });
  const heard = on(lines, 'line');
  const until = async (done: () => boolean) => {
    while (!done()) messages.push(JSON.parse((await heard.next()).value[0]));
  };
  const living = ['lives', 'lives-too', 'lives-as-well'].map((fate) => `${resource}-${fate}`);
  const leaked = (name: string) =>
    messages.some((message) => message.leaked && message.name === name);
  await until(() => living.every(leaked));
  // Each of them collects until it has found what leaked in it.
  const freed = Promise.all(living.map(async (name) => (await lock(name)).release()));
  await until(() => messages.filter(({ asked }) => asked).length === 2);
  // And again while one that is blocked, and one that has gone, should have had their turn.
  const start = messages.length;
  const turns = () => messages.filter(({ before }) => before !== undefined);
  const hasTurn = (name: string) =>
    messages.slice(start).filter((turn) => turn.name === name && turn.before).length > 1;
  await until(() => living.every(hasTurn));
  await freed;
  const inOrder = turns().sort((one, other) => one.before - other.before);
  for (const [index, { after }] of inOrder.slice(1).entries()) {
    expect(after - (inOrder[index]?.before ?? 0)).toBeGreaterThanOrEqual(60_000 / speed);
  }
});
