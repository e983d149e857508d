import { lock } from 'holdfast';
import { expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { type Program, startModule } from './helpers/program.js';
import { patience, slowness } from './helpers/slowness.js';

const workers = 20;

// The addon is loaded in the workers only: Node unloads it with the last of them, unless the addon
// sees to it that its code outlives its environments.
const program = `
import { Worker } from 'node:worker_threads';
const [how, resource, count] = process.argv.slice(-3);
const source = \`
  import { parentPort, workerData } from 'node:worker_threads';
  const holdfast = await import(process.env.HOLDFAST_ENTRY);
  const { how, resource } = workerData;
  if (how === 'wait') {
    holdfast.lock(resource).catch(() => {});
  } else if (how === 'hold') {
    globalThis.held = await holdfast.lock(resource, { mode: 'shared' });
  } else {
    globalThis.held = await holdfast.lock(resource, { mode: 'shared', lease: 3_600_000 });
  }
  parentPort.postMessage('ready');
  setInterval(() => {}, 1e6);
\`;
const url = new URL('data:text/javascript,' + encodeURIComponent(source));
const workers = Array.from({ length: Number(count) }, () => new Worker(url, { workerData: { how, resource } }));
await Promise.all(workers.map((worker) => new Promise((resolve, reject) => {
  worker.once('message', resolve);
  worker.once('error', reject);
})));
console.log('ready');
process.stdin.once('data', async () => {
  await Promise.all(workers.map((worker) => worker.terminate()));
  console.log('terminated');
});
`;

const terminate = (running: Program) => running.child.stdin?.write('now\n');

needs('/proc')('twenty workers that are terminated while they wait take no lock', async () => {
  const resource = temporaryResource();
  const held = await lock(resource);
  const running = startModule(program, 'wait', resource, String(workers));
  await running.printed('ready');
  await untilBlocked(`${resource}.flock`, workers);
  terminate(running);
  await running.printed('terminated');
  held.release();
  // Their threads get the lock one after the other, and give it back at once.
  await untilBlocked(`${resource}.flock`, 0);
  using later = await lock(resource, { timeout: patience });
  expect(later.held).toBe(true);
  expect(running.child.exitCode).toBeNull();
  running.child.stdin?.end();
  expect((await running.ended).code).toBe(0);
});

needs('/proc').each(['hold', 'hold with a lease'])(
  'locks of twenty terminated workers that %s are free although the process lives on',
  async (how) => {
    const resource = temporaryResource();
    const running = startModule(program, how, resource, String(workers));
    await running.printed('ready');
    const waiting = lock(resource);
    await untilBlocked(`${resource}.flock`, 1);
    terminate(running);
    const granted = waiting.then((held) => {
      const at = performance.now();
      held.release();
      return at;
    });
    await running.printed('terminated');
    const terminated = performance.now();
    expect((await granted) - terminated).toBeLessThan(1_000 * slowness);
    expect(running.child.exitCode).toBeNull();
    running.child.stdin?.end();
    expect((await running.ended).code).toBe(0);
  },
);

needs('/proc')('a waiting worker gets the lock that the main thread releases', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await actor.run(async ({ holdfast, kept, emit }, resource) => {
    const { Worker } = process.getBuiltinModule('node:worker_threads');
    const source = `import { parentPort, workerData } from 'node:worker_threads';
      const { lock } = await import(process.env.HOLDFAST_ENTRY);
      const held = await lock(workerData);
      parentPort.postMessage(held.held);`;
    kept['lock'] = holdfast.lockSync(resource);
    const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
    new Worker(url, { workerData: resource }).once('message', (held) => emit('granted', held));
  }, resource);
  await untilBlocked(`${resource}.flock`, 1);
  const granted = actor.next('granted');
  await actor.run(({ kept }) => kept['lock'].release());
  await expect(granted).resolves.toBe(true);
});
