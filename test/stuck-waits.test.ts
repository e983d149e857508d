import { lock } from 'holdfast';
import { expect, test } from 'vitest';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { startModule } from './helpers/program.js';

// Where a module awaits at its top, Bun waits for it instead of saying that it is about to exit.
const library = `
const { lock, withLock } = await import(process.env.HOLDFAST_ENTRY);
const resource = process.argv.at(-1);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const code = (promise) => promise.then(() => 'granted', ({ code }) => code);
`;

test('a process that waits for nothing but its own lock is told so, with both places', async () => {
  const program = startModule(
    `${library}
    const task = async () => {
      const held = await lock(resource, { label: 'outer' });
      await lock(resource, { label: 'inner' }).catch(({ name, message }) => console.log(name, message));
      console.log(held.held, await code(withLock(resource, { mode: 'shared' }, () => {})));
    };
    task();`,
    temporaryResource(),
  );
  const { code, stdout, stderr } = await program.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^LockDeadlockError .* for "inner" .* this thread holds it.*"outer"/);
  expect(stdout).toMatch(/\ntrue EDEADLK\n$/);
});

test('a process that waited for another one twice, and waits for itself then, is told so', async () => {
  const resource = temporaryResource();
  const held = await lock(resource);
  const program = startModule(
    `${library}
    const first = lock(resource);
    const second = code(lock(resource));
    console.log('waiting');
    first.then(async (own) => {
      globalThis.own = own;
      console.log(own.held, await second);
    });`,
    resource,
  );
  await program.printed('waiting');
  held.release();
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'waiting\ntrue EDEADLK\n' });
});

test('a wait without a limit is left alone for 10 s while another process holds the lock, and watched once its own thread does', async () => {
  const resource = temporaryResource();
  const held = await lock(resource);
  const program = startModule(
    `const { setTimeout: real } = globalThis;
    const timers = [];
    globalThis.setTimeout = (fn, ms, ...rest) => { timers.push(ms); return real(fn, ms, ...rest); };
    ${library}
    const first = lock(resource);
    void lock(resource);
    console.log('waiting', ...timers);
    first.then((own) => {
      globalThis.own = own;
      console.log(own.held, ...timers);
      process.exit();
    });`,
    resource,
  );
  await program.printed('waiting');
  held.release();
  expect(await program.ended).toMatchObject({
    code: 0,
    stdout: 'waiting 10000\ntrue 10000 5000\n',
  });
});

test('tasks without scopes that wait for each other, and nothing else, are told one by one', async () => {
  const program = startModule(
    `${library}
    const task = async (mine, others) => {
      const first = await lock(mine);
      await sleep(1);
      try {
        (await lock(others)).release();
      } finally {
        first.release();
      }
    };
    const names = ['a', 'b', 'c'].map((name) => resource + name);
    const tasks = names.map((name, index) => task(name, names[(index + 1) % 3]));
    Promise.all(tasks.map(code)).then((codes) => console.log(codes.sort().join(' ')));`,
    temporaryResource(),
  );
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'EDEADLK granted granted\n' });
});

test('a scope that waits to nest beside what it nested itself is told so', async () => {
  const program = startModule(
    `${library}
    withLock(resource, async () => {
      const first = await lock(resource, { reentrant: true });
      console.log(await code(lock(resource, { reentrant: true, label: 'second' })), first.held);
    });`,
    temporaryResource(),
  );
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'EDEADLK true\n' });
});

test('a wait for a holder of the same thread that is given a lease meanwhile lasts until that ends', async () => {
  const program = startModule(
    `${library}
    const task = async () => {
      const held = await lock(resource);
      const next = lock(resource);
      held.renew(100);
      console.log(await code(next), held.held);
    };
    task();`,
    temporaryResource(),
  );
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'granted false\n' });
});

test('a scope that waits to nest beside what it nested itself, in a lock that is given a lease meanwhile, waits for its end', async () => {
  const program = startModule(
    `${library}
    const task = async (held) => {
      const first = await lock(resource, { reentrant: true });
      const second = lock(resource, { reentrant: true });
      held.renew(100);
      console.log(await code(second), first.held);
    };
    withLock(resource, task).catch(() => {});`,
    temporaryResource(),
  );
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'granted false\n' });
});

test('a sibling that waits to nest is granted that, however long it takes', async () => {
  const program = startModule(
    `${library}
    withLock(resource, async () => {
      const first = await lock(resource, { reentrant: true });
      const second = lock(resource, { reentrant: true });
      await sleep(50);
      first.release();
      (await second).release();
      console.log('done');
    });`,
    temporaryResource(),
  );
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'done\n' });
});

test('a worker that waits for nothing but its own lock is told so', async () => {
  const program = startModule(
    `${library}
    const { Worker } = await import('node:worker_threads');
    const source = \`import { workerData } from 'node:worker_threads';
      const { lock } = await import(process.env.HOLDFAST_ENTRY);
      const held = await lock(workerData);
      await lock(workerData).catch(({ code }) => console.log(code, held.held));\`;
    new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)), { workerData: resource });`,
    temporaryResource(),
  );
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'EDEADLK true\n' });
});

test('a lock that was leaked is freed for the last task that waits, not called a deadlock', async () => {
  const program = startModule(
    `${library}
    process.removeAllListeners('warning').on('warning', ({ code }) => console.log(code));
    const leak = async () => { await lock(resource); };
    await leak();
    console.log(await code(lock(resource)));`,
    temporaryResource(),
  );
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'HOLDFAST_LEAK\ngranted\n' });
});

test('a task that only queues for a busy one is granted its lock, however long it takes', async () => {
  const program = startModule(
    `${library}
    const queue = async () => {
      const held = await lock(resource);
      const next = lock(resource);
      await sleep(200);
      held.release();
      (await next).release();
    };
    // Also where the first wait ends in an idle moment, and what follows is none.
    const leak = async () => { await lock(resource); };
    await leak();
    (await lock(resource)).release();
    await queue();
    console.log('done');`,
    temporaryResource(),
  );
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'done\n' });
});

needs('/proc')('a queue in which others have their turn keeps the process alive', async () => {
  const resource = temporaryResource();
  const program = startModule(
    `${library}
    const first = await lock(resource);
    let done = 0;
    // Long enough for another process to be let in between.
    for (let task = 0; task < 20; task += 1) void withLock(resource, () => sleep(5)).then(() => { done += 1; });
    console.log('queued');
    process.stdin.once('data', () => { first.release(); process.stdin.destroy(); });
    process.on('exit', () => console.log(done));`,
    resource,
  );
  await program.printed('queued');
  const waiting = lock(resource);
  await untilBlocked(`${resource}.flock`, 1);
  program.child.stdin?.write('now\n');
  const between = await waiting;
  // One of them waits in the kernel now, and nothing else goes on there.
  await untilBlocked(`${resource}.flock`, 1);
  expect(program.child.exitCode).toBeNull();
  between.release();
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'queued\n20\n' });
});

test('a wait without a limit for a holder of the same thread is warned of, once', async () => {
  const program = startModule(
    `// A clock that runs a hundred times as fast.
    const { setTimeout: real } = globalThis;
    globalThis.setTimeout = (fn, ms, ...rest) => real(fn, ms / 100, ...rest);
    ${library}
    process.removeAllListeners('warning').on('warning', ({ name, code, message, detail }) => {
      console.log(name, code, message, detail);
    });
    // A server, which has other things to do.
    setInterval(() => {}, 1000);
    async function take(path) { return lock(path, { label: 'outer', captureStack: true }); }
    const other = await take(resource + '-other');
    void lock(resource + '-other', { timeout: 60_000, label: 'limited' }).catch(() => {});
    void lock(resource + '-other', { signal: new AbortController().signal, label: 'limited' });
    void lock(resource + '-other');
    const held = await lock(resource);
    void lock(resource, { timeout: 60_000 }).catch(() => {});
    void lock(resource, { label: 'inner' });
    await sleep(5_000 * 3);
    void lock(resource, { label: 'late' });
    await sleep(5_000 * 3);
    console.log('held', held.held, other.held);
    process.exit();`,
    temporaryResource(),
  );
  const { stdout } = await program.ended;
  const lines = stdout.split('\n').filter((line) => line.startsWith('LockWaitWarning'));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(
    /HOLDFAST_LONG_WAIT a task has been waiting for exclusive \S+-other without a timeout, and this thread holds it, exclusive, since \d+\.\d s as/,
  );
  expect(stdout).toMatch(/at .*\btake\b/);
  expect(stdout).toContain('held true true');
});

test('nobody looks for stuck waits once there are none', async () => {
  const program = startModule(
    `const { setTimeout: real } = globalThis;
    let looks = 0;
    globalThis.setTimeout = (fn, ms, ...rest) => {
      if (ms === 5_000) looks += 1;
      return real(fn, ms / 100, ...rest);
    };
    ${library}
    const first = await lock(resource);
    const second = lock(resource);
    first.release();
    console.log((await second).held);
    await sleep(30_000);
    console.log(looks);`,
    temporaryResource(),
  );
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'true\n1\n' });
});
