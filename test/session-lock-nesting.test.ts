import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { lock, tryLock } from 'holdfast';
import { jsonlStore } from 'holdfast/json-store';
import { acquireFileLock, acquireSessionWriteLock, withFileLock } from 'holdfast/session-lock';
import { expect, test } from 'vitest';
import { fileLockOptions as options } from './helpers/file-lock-options.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { startModule } from './helpers/program.js';

const hooked = needs('async hooks of promises');

function temporarySession(): string {
  return join(temporaryFolder(), 'a.jsonl');
}

hooked('whoever holds a session may lock it again, and each release counts once', async () => {
  const sessionFile = temporarySession();
  const first = await acquireSessionWriteLock({ sessionFile });
  const second = await acquireSessionWriteLock({ sessionFile });
  const third = await acquireFileLock(sessionFile, options(0));
  await withFileLock(sessionFile, options(0), async () => {});
  await first.release();
  await first.release();
  await third.release();
  expect(second.lock.held).toBe(true);
  expect(tryLock(sessionFile)).toBeNull();
  await second.release();
  using free = tryLock(sessionFile);
  expect(free?.held).toBe(true);
});

test('an old handle never frees a new lock', async () => {
  const sessionFile = temporarySession();
  const old = await acquireSessionWriteLock({ sessionFile });
  await old.release();
  await using current = await acquireSessionWriteLock({ sessionFile });
  await old.release();
  expect(current.lock.held).toBe(true);
  expect(tryLock(sessionFile)).toBeNull();
});

test('allowReentrant: false waits like anybody else, also for the caller itself', async () => {
  const sessionFile = temporarySession();
  const first = await acquireSessionWriteLock({ sessionFile });
  const alone = { sessionFile, allowReentrant: false };
  const tooLong = acquireSessionWriteLock({ ...alone, timeoutMs: 30 });
  await expect(tooLong).rejects.toMatchObject({
    reason: 'session_busy',
    owner: `pid=${process.pid}`,
    cause: { code: 'ERR_LOCK_TIMEOUT' },
  });
  const controller = new AbortController();
  const aborted = acquireSessionWriteLock({
    ...alone,
    timeoutMs: Number.POSITIVE_INFINITY,
    signal: controller.signal,
  });
  const later = acquireSessionWriteLock(alone);
  await nextTurn();
  controller.abort('enough');
  await expect(aborted).rejects.toBe('enough');
  expect(first.lock.held).toBe(true);
  await first.release();
  await using second = await later;
  expect(second.lock.token).not.toBe(first.lock.token);
});

const sibling = {
  acquireSessionWriteLock: (sessionFile: string) => acquireSessionWriteLock({ sessionFile }),
  acquireFileLock: (file: string) => acquireFileLock(file, options()),
};

for (const [name, acquire] of Object.entries(sibling)) {
  test(`20 tasks with ${name}() enter one after the other`, async () => {
    const file = temporarySession();
    let count = 0;
    const task = async (wait: boolean) => {
      if (wait) await nextTurn();
      const held = await acquire(file);
      const before = count;
      await nextTurn();
      count = before + 1;
      await held.release();
    };
    await Promise.all(Array.from({ length: 20 }, (_, index) => task(index % 2 === 1)));
    expect(count).toBe(20);
  });

  hooked(`20 tasks that nest ${name}() in one holder enter one after the other`, async () => {
    const file = temporarySession();
    await using _ = await acquire(file);
    let count = 0;
    const task = async () => {
      const held = await acquire(file);
      const before = count;
      await nextTurn();
      count = before + 1;
      await held.release();
    };
    await Promise.all(Array.from({ length: 20 }, task));
    expect(count).toBe(20);
  });
}

hooked('entries are appended to a session that is held, by its holder', async () => {
  const sessionFile = temporarySession();
  const session = await acquireSessionWriteLock({ sessionFile });
  await jsonlStore<{ turn: number }>(sessionFile).append([{ turn: 1 }, { turn: 2 }]);
  await session.release();
  expect(readFileSync(sessionFile, 'utf8')).toBe('{"turn":1}\n{"turn":2}\n');
});

test('a lock that this process leaked is reclaimed before another task fails', async () => {
  const sessionFile = temporarySession();
  const leak = async () => {
    await acquireSessionWriteLock({ sessionFile, label: 'leaked' });
  };
  await leak();
  await nextTurn();
  // Long enough for the rate limit of collections.
  const session = await acquireSessionWriteLock({ sessionFile, timeoutMs: 150 });
  expect(session.lock.held).toBe(true);
  await session.release();
});

test('what was leaked of another file does not have a request wait for longer', async () => {
  const sessionFile = temporarySession();
  using _ = await lock(sessionFile);
  const leak = async () => {
    await acquireSessionWriteLock({ sessionFile: temporarySession(), label: 'leaked' });
  };
  await leak();
  await nextTurn();
  const waiting = acquireSessionWriteLock({ sessionFile, timeoutMs: 150 });
  const message = expect.stringContaining('timed out after 0 ms');
  await expect(waiting).rejects.toMatchObject({ timeoutMs: 150, cause: { message } });
});

test('a process looks whether it leaked its lock when that is as old as is called stale', async () => {
  const program = startModule(
    `const { setTimeout: real } = globalThis;
    const timers = [];
    globalThis.setTimeout = (fn, ms, ...rest) => { timers.push(ms); return real(fn, ms, ...rest); };
    const entry = new URL('session-lock/index.js', process.env.HOLDFAST_ENTRY);
    const { acquireFileLock, acquireSessionWriteLock } = await import(entry);
    const [, , file, sessionFile] = process.argv;
    const retries = { retries: 0, factor: 1, minTimeout: 0, maxTimeout: 0 };
    globalThis.locks = [
      await acquireFileLock(file, { retries, stale: 20_000 }),
      await acquireSessionWriteLock({ sessionFile, staleMs: 10_000 }),
    ];
    console.log(...timers.map((ms) => Math.ceil(ms / 1_000)));`,
    temporarySession(),
    temporarySession(),
  );
  expect(await program.ended).toEqual({ code: 0, stdout: '20 10\n', stderr: '' });
});

test('a task that holds its lock is not robbed when another one fails', async () => {
  const file = temporarySession();
  let release = () => {};
  let holder: Promise<void> | undefined;
  await new Promise<void>((entered) => {
    holder = withFileLock(file, options(), async (lock) => {
      entered();
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      lock.assertHeld();
    });
  });
  await expect(acquireSessionWriteLock({ sessionFile: file, timeoutMs: 20 })).rejects.toMatchObject(
    { owner: `pid=${process.pid}` },
  );
  release();
  await holder;
});
