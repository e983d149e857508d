import { setTimeout as sleep } from 'node:timers/promises';
import { lock, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { patience } from './helpers/slowness.js';

// The thread of a wait that was given up is still blocked in the kernel, and cannot be woken. It must
// not count as somebody who waits, or no reader would enter for as long as the present one stays.

/** Until a reader would have to wait for somebody who waits. */
async function untilKeptOut(resource: string): Promise<void> {
  for (;;) {
    const held = tryLock(resource, { mode: 'shared' });
    if (held === null) return;
    held.release();
    await sleep(2);
  }
}

needs('a queue before the lock').each(['a timeout', 'an abort', 'the end of its worker'])(
  'a writer that gave up by %s keeps no reader out',
  async (how) => {
    const resource = temporaryResource();
    const reader = await Actor.start();
    await reader.run(async ({ holdfast, kept }, resource) => {
      kept['lock'] = await holdfast.lock(resource, { mode: 'shared' });
    }, resource);
    const writer = await Actor.start();
    const givenUp = writer.run(
      async ({ holdfast, kept }, resource, how) => {
        if (how === 'a timeout') return holdfast.lock(resource, { timeout: 300 }).catch(() => {});
        if (how === 'an abort') {
          const controller = new AbortController();
          kept['giveUp'] = () => controller.abort();
          return holdfast.lock(resource, { signal: controller.signal }).catch(() => {});
        }
        const { Worker } = process.getBuiltinModule('node:worker_threads');
        const source = `import { workerData } from 'node:worker_threads';
          (await import(process.env.HOLDFAST_ENTRY)).lockSync(workerData);`;
        const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
        const worker = new Worker(url, { workerData: resource });
        kept['giveUp'] = () => worker.terminate();
        return new Promise((resolve) => worker.once('exit', resolve));
      },
      resource,
      how,
    );
    await Promise.race([untilKeptOut(resource), givenUp]);
    await writer.run(({ kept }) => kept['giveUp']?.());
    await givenUp;
    // One elsewhere, and one of the process whose thread is still blocked.
    expect(tryLock(resource, { mode: 'shared' })?.held).toBe(true);
    const own = writer.run(
      ({ holdfast }, resource) => holdfast.tryLock(resource, { mode: 'shared' })?.held,
      resource,
    );
    await expect(own).resolves.toBe(true);
  },
);

test('a writer that gave up in the middle of the queue keeps no reader out', async () => {
  const resource = temporaryResource();
  const first = await lock(resource);
  const [reader, writer] = await Promise.all([Actor.start(), Actor.start()]);
  const reads = reader.run(async ({ holdfast, kept }, resource) => {
    kept['lock'] = await holdfast.lock(resource, { mode: 'shared' });
  }, resource);
  await untilBlocked(`${resource}.flock`, 1);
  const givenUp = writer.run(
    ({ holdfast }, resource) => holdfast.lock(resource, { timeout: 200 }).catch(({ code }) => code),
    resource,
  );
  await untilBlocked(`${resource}.flock`, 2);
  await expect(givenUp).resolves.toBe('ERR_LOCK_TIMEOUT');
  first.release();
  await reads;
  using other = await lock(resource, { mode: 'shared', timeout: patience });
  expect(other.held).toBe(true);
  await expect(reader.run(({ kept }) => kept['lock'].held)).resolves.toBe(true);
});

needs('a queue before the lock')(
  'a writer that takes over a wait that was given up is not overtaken by readers',
  async () => {
    const resource = temporaryResource();
    const reader = await Actor.start();
    await reader.run(async ({ holdfast, kept }, resource) => {
      kept['lock'] = await holdfast.lock(resource, { mode: 'shared' });
    }, resource);
    const controller = new AbortController();
    const givenUp = lock(resource, { signal: controller.signal }).catch(() => 'given up');
    await untilBlocked(`${resource}.flock`, 1);
    controller.abort();
    await expect(givenUp).resolves.toBe('given up');
    const writes = lock(resource);
    expect(tryLock(resource, { mode: 'shared' })).toBeNull();
    const late = reader.run(
      ({ holdfast }, resource) => holdfast.tryLock(resource, { mode: 'shared' }),
      resource,
    );
    await expect(late).resolves.toBeNull();
    await reader.run(({ kept }) => kept['lock'].release());
    await using held = await writes;
    expect(held.mode).toBe('exclusive');
  },
);
