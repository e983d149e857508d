import { lock } from 'holdfast';
import { expect, test } from 'vitest';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { startModule } from './helpers/program.js';
import { patience } from './helpers/slowness.js';

const library = `const holdfast = await import(process.env.HOLDFAST_ENTRY);
const resource = process.argv.at(-1);
`;

test('a process that waits for a lock stays alive until it has it', async () => {
  const resource = temporaryResource();
  const held = await lock(resource);
  const waiting = startModule(
    `${library}
    void holdfast.lock(resource).then((lock) => console.log('granted', lock.held));`,
    resource,
  );
  await untilBlocked(`${resource}.flock`, 1);
  expect(waiting.child.exitCode).toBeNull();
  held.release();
  expect(await waiting.ended).toMatchObject({ code: 0, stdout: 'granted true\n' });
});

test.each([
  ['tryLock', 'globalThis.held = holdfast.tryLock(resource);'],
  ['lock', 'globalThis.held = await holdfast.lock(resource);'],
  ['a leased lock', 'globalThis.held = await holdfast.lock(resource, { lease: 3_600_000 });'],
  ['leakCheck', 'globalThis.held = await holdfast.lock(resource, { leakCheck: 3_600_000 });'],
])('a process that only holds a lock ends: %s', async (_, take) => {
  const resource = temporaryResource();
  const holding = startModule(`${library} ${take} console.log(held.held);`, resource);
  expect(await holding.ended).toMatchObject({ code: 0, stdout: 'true\n' });
  using held = await lock(resource, { timeout: patience });
  expect(held.held).toBe(true);
});

test('a wait that was given up does not keep the process alive', async () => {
  const resource = temporaryResource();
  using held = await lock(resource);
  const waiting = startModule(
    `${library}
    await holdfast.lock(resource, { timeout: 10 }).catch(({ code }) => console.log(code));
    const controller = new AbortController();
    const aborted = holdfast.lock(resource, { signal: controller.signal });
    controller.abort();
    await aborted.catch(({ name }) => console.log(name));`,
    resource,
  );
  expect(await waiting.ended).toMatchObject({
    code: 0,
    stdout: 'ERR_LOCK_TIMEOUT\nAbortError\n',
  });
  expect(held.held).toBe(true);
});

test('a queue within a process keeps it alive to its end, and not longer', async () => {
  const resource = temporaryResource();
  const program = startModule(
    `${library}
    let done = 0;
    const held = await holdfast.lock(resource);
    for (let task = 0; task < 10; task += 1) void holdfast.withLock(resource, () => { done += 1; });
    setTimeout(() => held.release(), 10);
    process.on('exit', () => console.log(done));`,
    resource,
  );
  expect(await program.ended).toMatchObject({ code: 0, stdout: '10\n' });
});

test('a queue within a process lets its event loop run empty when all have had their turn, not before', async () => {
  const program = startModule(
    `${library}
    let done = 0;
    process.on('beforeExit', () => console.log(done));
    const turn = () => new Promise((resolve) => setTimeout(resolve, 6));
    // Long enough for others to be let in between, who may not be there.
    for (let task = 0; task < 10; task += 1) void holdfast.withLock(resource, turn).then(() => { done += 1; });`,
    temporaryResource(),
  );
  expect(await program.ended).toMatchObject({ code: 0, stdout: '10\n' });
});

test('process.exit ends a process with a blocked wait at once', async () => {
  const resource = temporaryResource();
  using held = await lock(resource);
  const waiting = startModule(
    `${library}
    holdfast.lock(resource);
    process.stdin.once('data', () => process.exit(7));`,
    resource,
  );
  await untilBlocked(`${resource}.flock`, 1);
  waiting.child.stdin?.write('now\n');
  expect((await waiting.ended).code).toBe(7);
  expect(held.held).toBe(true);
});

needs('a debugger that ends what runs')(
  'a process waits on although what it was told of an earlier lock was ended by a debugger',
  async () => {
    const [leased, resource] = [temporaryResource(), temporaryResource()];
    const held = await lock(resource);
    const waiting = startModule(
      `${library}
      const { Session } = process.getBuiltinModule('node:inspector');
      const session = new Session();
      session.connect();
      globalThis.leased = holdfast.tryLock(${JSON.stringify(leased)}, { lease: 1 });
      const until = setInterval(() => {}, 1_000);
      leased.signal.addEventListener('abort', () => {
        setImmediate(async () => {
          const wait = holdfast.lock(resource);
          clearInterval(until);
          setTimeout(() => console.log('waited'), 50).unref();
          console.log('granted', (await wait).held);
        });
        session.post('Runtime.terminateExecution');
        const end = performance.now() + 10_000;
        while (performance.now() < end);
        console.log('was not ended');
      });`,
      resource,
    );
    await Promise.race([waiting.printed('waited'), waiting.ended]);
    held.release();
    expect(await waiting.ended).toMatchObject({ code: 0, stdout: 'waited\ngranted true\n' });
  },
);
