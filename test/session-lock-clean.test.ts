import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FileLock, lock, tryLock } from 'holdfast';
import {
  acquireSessionWriteLock,
  cleanStaleLockFiles,
  inspectSessionLocks,
} from 'holdfast/session-lock';
import { afterEach, expect, test, vi } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { craftRecord } from './helpers/record.js';
import { SessionHolder } from './helpers/session-holder.js';

afterEach(() => vi.restoreAllMocks());

async function killedHolder(sessionFile: string): Promise<number> {
  const holder = await SessionHolder.start();
  await holder.acquire('new', { sessionFile });
  await holder.kill();
  return holder.pid;
}

test('a lock that is held is not stale, however old it is', async () => {
  const sessionsDir = temporaryFolder();
  const sessionFile = join(sessionsDir, 'a.jsonl');
  const holder = await SessionHolder.start();
  await holder.acquire('new', { sessionFile });
  const nowMs = Date.now() + 10 * 365 * 24 * 3_600_000;
  const { locks, cleaned } = await cleanStaleLockFiles({ sessionsDir, staleMs: 1, nowMs });
  expect(cleaned).toEqual([]);
  expect(locks).toEqual([
    {
      lockPath: `${sessionFile}.flock`,
      pid: holder.pid,
      pidAlive: true,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      ageMs: expect.any(Number),
      stale: false,
      staleReasons: [],
      removed: false,
    },
  ]);
  expect(locks[0]?.ageMs).toBe(nowMs - Date.parse(locks[0]?.createdAt ?? ''));
});

test('a lock that a killed process left is stale, and is removed', async () => {
  const sessionsDir = temporaryFolder();
  const sessionFile = join(sessionsDir, 'a.jsonl');
  const pid = await killedHolder(sessionFile);
  const found = { pid, pidAlive: false, stale: true, staleReasons: ['dead-pid'] };
  const looked = await inspectSessionLocks({ sessionsDir });
  expect(looked).toEqual({ locks: [expect.objectContaining(found)], cleaned: [] });
  const kept = await cleanStaleLockFiles({ sessionsDir, removeStale: false });
  expect(kept.cleaned).toEqual([]);
  const warnings: string[] = [];
  const { locks, cleaned } = await cleanStaleLockFiles({
    sessionsDir,
    log: { warn: (message) => warnings.push(message) },
  });
  expect(cleaned).toEqual([expect.objectContaining({ ...found, removed: true })]);
  expect(locks).toEqual(cleaned);
  expect(warnings).toEqual([`removed stale session lock: ${sessionFile}.flock (dead-pid)`]);
  expect(existsSync(`${sessionFile}.flock`)).toBe(false);
});

test('a lock that is shared is not stale, although the last one who had it alone was killed', async () => {
  const sessionsDir = temporaryFolder();
  const sessionFile = join(sessionsDir, 'a.jsonl');
  await killedHolder(sessionFile);
  using _ = await lock(sessionFile, { mode: 'shared' });
  const { locks } = await inspectSessionLocks({ sessionsDir });
  expect(locks).toEqual([
    expect.objectContaining({ pidAlive: true, stale: false, staleReasons: [] }),
  ]);
});

test('a lock of a holder that leaves no record has no age', async () => {
  const sessionsDir = temporaryFolder();
  using _ = await lock(join(sessionsDir, 'a.jsonl'), { record: false });
  const { locks } = await inspectSessionLocks({ sessionsDir });
  expect(locks).toEqual([
    expect.objectContaining({ pidAlive: true, createdAt: null, ageMs: null, stale: false }),
  ]);
});

test('a lock whose lease ran out is stale although its process lives', async () => {
  const sessionsDir = temporaryFolder();
  const sessionFile = join(sessionsDir, 'a.jsonl');
  const session = await acquireSessionWriteLock({ sessionFile, maxHoldMs: 30 });
  await new Promise((resolve) => session.lock.signal.addEventListener('abort', resolve));
  const { locks } = await inspectSessionLocks({ sessionsDir });
  expect(locks).toEqual([
    expect.objectContaining({ pid: process.pid, pidAlive: true, staleReasons: ['lost'] }),
  ]);
});

test('a lock that was released is neither stale nor removed', async () => {
  const sessionsDir = temporaryFolder();
  await (await acquireSessionWriteLock({ sessionFile: join(sessionsDir, 'a.jsonl') })).release();
  const { locks, cleaned } = await cleanStaleLockFiles({ sessionsDir });
  expect(cleaned).toEqual([]);
  expect(locks).toEqual([expect.objectContaining({ stale: false, removed: false })]);
});

test('only the locks of sessions are looked at, sorted; a missing folder has none', async () => {
  const sessionsDir = temporaryFolder();
  for (const name of ['b.jsonl.flock', 'a.jsonl.flock', 'c.json.flock', 'a.jsonl']) {
    writeFileSync(join(sessionsDir, name), '');
  }
  const { locks } = await cleanStaleLockFiles({ sessionsDir });
  expect(locks.map(({ lockPath }) => lockPath)).toEqual([
    join(sessionsDir, 'a.jsonl.flock'),
    join(sessionsDir, 'b.jsonl.flock'),
  ]);
  const nowhere = { sessionsDir: join(sessionsDir, 'nowhere') };
  expect(await inspectSessionLocks(nowhere)).toEqual({ locks: [], cleaned: [] });
});

test('what only has the name of a lock file does not keep the others from being removed', async () => {
  const sessionsDir = temporaryFolder();
  mkdirSync(join(sessionsDir, 'a.jsonl.flock'));
  const pid = await killedHolder(join(sessionsDir, 'b.jsonl'));
  const { locks, cleaned } = await cleanStaleLockFiles({ sessionsDir });
  expect(cleaned).toEqual([expect.objectContaining({ pid })]);
  expect(locks).toEqual(cleaned);
});

test('a lock that somebody takes between the look at it and its removal stays', async () => {
  const sessionsDir = temporaryFolder();
  const sessionFile = join(sessionsDir, 'a.jsonl');
  await killedHolder(sessionFile);
  let heir: FileLock | null = null;
  // Whether the pid lives is asked last.
  vi.spyOn(process, 'kill').mockImplementation(() => {
    heir = tryLock(sessionFile);
    return true;
  });
  const warnings: string[] = [];
  const { locks, cleaned } = await cleanStaleLockFiles({
    sessionsDir,
    log: { warn: (message) => warnings.push(message) },
  });
  using held = heir as FileLock | null;
  expect(held?.held).toBe(true);
  expect(locks).toEqual([expect.objectContaining({ stale: true, removed: false })]);
  expect([cleaned, warnings]).toEqual([[], []]);
  expect(existsSync(`${sessionFile}.flock`)).toBe(true);
});

test('a folder that cannot be read is an error', async () => {
  const sessionsDir = join(temporaryFolder(), 'file');
  writeFileSync(sessionsDir, '');
  await expect(inspectSessionLocks({ sessionsDir })).rejects.toMatchObject({ code: 'ENOTDIR' });
});

test('a record of a time that is none does not keep the locks from being looked at', async () => {
  const sessionsDir = temporaryFolder();
  const who = { pid: 4242, start: 1, host: 'gw-1', boot: null, pidns: null };
  const since = Number.MAX_SAFE_INTEGER;
  const content = craftRecord({ ...who, token: '7', since, lease: null, label: null });
  writeFileSync(join(sessionsDir, 'a.jsonl.flock'), content);
  const { locks } = await inspectSessionLocks({ sessionsDir });
  expect(locks).toEqual([expect.objectContaining({ pid: null, createdAt: null, stale: false })]);
});

test('whoever waits for a lock file that is removed gets the new one', async () => {
  const sessionsDir = temporaryFolder();
  const sessionFile = join(sessionsDir, 'a.jsonl');
  for (let round = 0; round < 20; round += 1) {
    using stale = tryLock(sessionFile, { lease: 1 });
    await new Promise((resolve) => stale?.signal.addEventListener('abort', resolve));
    const [first, , second] = await Promise.all([
      lock(sessionFile).then((held) => {
        held.release();
        return held.held;
      }),
      cleanStaleLockFiles({ sessionsDir }),
      lock(sessionFile),
    ]);
    expect(first).toBe(false);
    expect(tryLock(sessionFile)).toBeNull();
    second.release();
  }
  expect(readdirSync(sessionsDir).length).toBeLessThanOrEqual(1);
});
