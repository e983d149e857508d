import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inspect, lock, tryLock } from 'holdfast';
import {
  acquireFileLock,
  acquireSessionWriteLock,
  type FileLockOptions,
  FileLockTimeoutError,
  resolveSessionLockMaxHoldFromTimeout,
  SessionLockTimeoutError,
  withFileLock,
} from 'holdfast/session-lock';
import { afterEach, expect, test, vi } from 'vitest';
import { fileLockOptions as options } from './helpers/file-lock-options.js';
import { temporaryFolder } from './helpers/folder.js';
import { lost } from './helpers/lost.js';
import { needs } from './helpers/needs.js';
import { SessionHolder } from './helpers/session-holder.js';

const hooked = needs('async hooks of promises');

afterEach(() => vi.useRealTimers());

function temporarySession(): string {
  return join(temporaryFolder(), 'a.jsonl');
}

async function leaseOf(file: string): Promise<number | null | undefined> {
  return (await inspect(file)).holder?.lease;
}

test('withFileLock() gives the result of fn, and the file is free afterwards', async () => {
  const file = temporarySession();
  const result = await withFileLock(file, options(), async () => {
    expect(tryLock(file)).toBeNull();
    return 42;
  });
  expect(result).toBe(42);
  using free = tryLock(file);
  expect(free?.held).toBe(true);
});

test('withFileLock() frees the file when fn throws, before or after its first await', async () => {
  const file = temporarySession();
  const early = withFileLock(file, options(), () => {
    throw new Error('early');
  });
  await expect(early).rejects.toThrow('early');
  const late = withFileLock(file, options(), async () => {
    await nextTurn();
    throw new Error('late');
  });
  await expect(late).rejects.toThrow('late');
  using free = tryLock(file);
  expect(free?.held).toBe(true);
});

test('an error of fn about another lock stays what it is', async () => {
  const file = temporarySession();
  const other = temporarySession();
  using _ = tryLock(other);
  const inner = withFileLock(file, options(), () => withFileLock(other, options(1), () => {}));
  await expect(inner).rejects.toThrow(`file lock timeout for ${other}`);
});

test('a wait of fn that took too long is not taken for one for the file', async () => {
  const other = temporarySession();
  using _ = tryLock(other);
  const inner = withFileLock(temporarySession(), options(), () => lock(other, { timeout: 1 }));
  const lockPath = `${other}.flock`;
  await expect(inner).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT', lockPath });
});

test('acquireFileLock() tells the lock file and is released by hand', async () => {
  const file = temporarySession();
  const held = await acquireFileLock(file, options());
  expect(held.lockPath).toBe(`${file}.flock`);
  expect(held.lock.held).toBe(true);
  await held.release();
  using free = tryLock(file);
  expect(free?.held).toBe(true);
});

test('a file that stays locked gives the message and the code that callers match', async () => {
  const file = temporarySession();
  const holder = await SessionHolder.start();
  await holder.acquire('new', { sessionFile: file });
  for (const attempt of [
    () => withFileLock(file, options(30), () => {}),
    () => acquireFileLock(file, options(30)),
  ]) {
    const error = await attempt().catch((caught) => caught);
    expect(error).toBeInstanceOf(FileLockTimeoutError);
    expect(error.message).toBe(`file lock timeout for ${file}`);
    expect(error).toMatchObject({
      code: 'file_lock_timeout',
      lockPath: `${file}.flock`,
      owner: `pid=${holder.pid}`,
      timeoutMs: 30,
      cause: { code: 'ERR_LOCK_TIMEOUT' },
    });
  }
});

test('a session that stays locked gives the message and the reason that callers match', async () => {
  const sessionFile = temporarySession();
  const holder = await SessionHolder.start();
  await holder.acquire('new', { sessionFile });
  const error = await acquireSessionWriteLock({ sessionFile, timeoutMs: 50 }).catch((e) => e);
  expect(error).toBeInstanceOf(SessionLockTimeoutError);
  expect(error.message).toBe(
    `session file locked (timeout 50ms): pid=${holder.pid} ${sessionFile}.flock`,
  );
  expect(error).toMatchObject({
    code: 'file_lock_timeout',
    reason: 'session_busy',
    timeoutMs: 50,
    lockPath: `${sessionFile}.flock`,
    owner: `pid=${holder.pid}`,
  });
});

test('the delays of the retries are one time to wait, and a release ends it at once', async () => {
  const file = temporarySession();
  const waited = async (retries: FileLockOptions['retries']) => {
    const before = performance.now();
    const error = await acquireFileLock(file, { retries, stale: 1 }).catch((caught) => caught);
    expect(performance.now() - before).toBeGreaterThanOrEqual(error.timeoutMs - 1);
    return error.timeoutMs;
  };
  const holder = await SessionHolder.start();
  await holder.acquire('new', { sessionFile: file });
  expect(await waited({ retries: 4, factor: 2, minTimeout: 10, maxTimeout: 50 })).toBe(120);
  expect(await waited({ retries: 3, factor: 1, minTimeout: 20, maxTimeout: 50 })).toBe(60);
  expect(await waited({ retries: 2, factor: 2, minTimeout: 90, maxTimeout: 60 })).toBe(120);
  expect(await waited({ retries: 0, factor: 2, minTimeout: 90, maxTimeout: 60 })).toBe(0);
  expect(await waited({ retries: 5, factor: 2, minTimeout: 0, maxTimeout: 60 })).toBe(0);

  const forever = { retries: Number.POSITIVE_INFINITY, factor: 2, minTimeout: 9, maxTimeout: 99 };
  const waiting = acquireFileLock(file, { retries: forever, stale: 1, randomize: true } as never);
  await nextTurn();
  await holder.release();
  await (await waiting).release();
});

test('an old lock of somebody who lives is never stolen', async () => {
  const sessionFile = temporarySession();
  const holder = await SessionHolder.start();
  await holder.acquireFile(sessionFile, options(0, { stale: 1 }));
  await expect(acquireFileLock(sessionFile, options(150, { stale: 1 }))).rejects.toThrow(/timeout/);
  const session = acquireSessionWriteLock({ sessionFile, timeoutMs: 150, staleMs: 1 });
  await expect(session).rejects.toThrow(/session file locked/);
});

test('the longest hold is the lease, with the defaults that callers know', async () => {
  const sessionFile = temporarySession();
  for (const [others, lease] of [
    [{}, 300_000],
    [{ stale: 60_000 }, 600_000],
    [{ maxHoldMs: 1_234 }, 1_234],
    [{ stale: Number.NaN }, 300_000],
  ] as const) {
    await withFileLock(sessionFile, options(0, others), async () => {
      expect(await leaseOf(sessionFile)).toBe(lease);
    });
  }
  for (const [maxHoldMs, lease] of [
    [undefined, 300_000],
    [1_234, 1_234],
    [-1, 300_000],
    [Number.POSITIVE_INFINITY, 300_000],
  ] as const) {
    await using _ = await acquireSessionWriteLock({
      sessionFile,
      ...(maxHoldMs !== undefined && { maxHoldMs }),
    });
    expect(await leaseOf(sessionFile)).toBe(lease);
  }
});

test('a session waits 10 s unless it is told otherwise', async () => {
  const sessionFile = temporarySession();
  const holder = await SessionHolder.start();
  await holder.acquire('new', { sessionFile });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const errors = [undefined, 0, -5, Number.NaN].map((timeoutMs) =>
    acquireSessionWriteLock({ sessionFile, ...(timeoutMs !== undefined && { timeoutMs }) }).catch(
      (error) => error,
    ),
  );
  while (vi.getTimerCount() < errors.length) await nextTurn();
  vi.advanceTimersByTime(9_999);
  expect(vi.getTimerCount()).toBe(errors.length);
  vi.advanceTimersByTime(1);
  for (const error of await Promise.all(errors)) {
    expect(error.message).toMatch(/^session file locked \(timeout 10000ms\): pid=\d+ /);
  }
});

test('timeoutMs: Infinity waits until the lock is there', async () => {
  const sessionFile = temporarySession();
  const holder = await SessionHolder.start();
  await holder.acquire('new', { sessionFile });
  const waiting = acquireSessionWriteLock({ sessionFile, timeoutMs: Number.POSITIVE_INFINITY });
  await nextTurn();
  await holder.release();
  await (await waiting).release();
});

test('a signal ends the wait with its reason', async () => {
  const sessionFile = temporarySession();
  const holder = await SessionHolder.start();
  await holder.acquire('new', { sessionFile });
  const controller = new AbortController();
  const waiting = acquireSessionWriteLock({ sessionFile, signal: controller.signal });
  const reason = new Error('enough');
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
});

test('a label is shown to whoever waits', async () => {
  const sessionFile = temporarySession();
  await using _ = await acquireSessionWriteLock({ sessionFile, label: 'append reply' });
  expect((await inspect(sessionFile)).holder?.label).toBe('append reply');
});

test('an empty path is refused, and not taken for the working directory', async () => {
  const refused = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' };
  await expect(acquireSessionWriteLock({ sessionFile: '' })).rejects.toMatchObject(refused);
  await expect(acquireFileLock('', options())).rejects.toMatchObject(refused);
  await expect(withFileLock('', options(), () => {})).rejects.toMatchObject(refused);
});

test('parent folders are made', async () => {
  const sessionFile = join(temporaryFolder(), 'agents', 'main', 'a.jsonl');
  await (await acquireSessionWriteLock({ sessionFile })).release();
  await withFileLock(join(temporaryFolder(), 'x', 'b.json'), options(), () => {});
});

needs('POSIX permissions')('two spellings of one folder are one lock', async () => {
  const folder = temporaryFolder();
  const link = join(temporaryFolder(), 'link');
  symlinkSync(folder, link);
  const holder = await SessionHolder.start();
  await holder.acquire('new', { sessionFile: join(folder, 'a.jsonl') });
  const other = acquireSessionWriteLock({ sessionFile: join(link, 'a.jsonl'), timeoutMs: 20 });
  await expect(other).rejects.toThrow(join(folder, 'a.jsonl.flock'));
});

test('what is written after the longest hold is refused', async () => {
  const sessionFile = temporarySession();
  const session = await acquireSessionWriteLock({ sessionFile, maxHoldMs: 40 });
  await lost(session.lock.signal);
  expect(() => session.lock.assertHeld()).toThrow(/lease of 40 ms/);
  await session.release();
  const stuck = withFileLock(
    sessionFile,
    options(0, { maxHoldMs: 40 }),
    () => new Promise(() => {}),
  );
  await expect(stuck).rejects.toMatchObject({ code: 'ERR_LOCK_EXPIRED' });
});

hooked('without legacy there is no lock file of the old protocol', async () => {
  const sessionFile = temporarySession();
  await writeFile(sessionFile, '');
  await using _ = await acquireSessionWriteLock({ sessionFile });
  expect(existsSync(`${sessionFile}.lock`)).toBe(false);
  writeFileSync(`${sessionFile}.lock`, 'of somebody else');
  await using again = await acquireSessionWriteLock({ sessionFile });
  expect(again.lock.held).toBe(true);
});

test('resolveSessionLockMaxHoldFromTimeout() adds the grace, between the least and the most', () => {
  const resolve = resolveSessionLockMaxHoldFromTimeout;
  expect(resolve({ timeoutMs: 600_000 })).toBe(720_000);
  expect(resolve({ timeoutMs: 1_000 })).toBe(300_000);
  expect(resolve({ timeoutMs: 1_000, graceMs: 5_000, minMs: 2_000 })).toBe(6_000);
  expect(resolve({ timeoutMs: Number.POSITIVE_INFINITY })).toBe(2_147_000_000);
  expect(resolve({ timeoutMs: 1e12 })).toBe(2_147_000_000);
  expect(resolve({ timeoutMs: Number.NaN })).toBe(420_000);
  expect(resolve({ timeoutMs: 0, graceMs: -1, minMs: 0 })).toBe(420_000);
});
