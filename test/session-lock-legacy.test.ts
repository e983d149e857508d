import { once } from 'node:events';
import {
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { tryLock } from 'holdfast';
import { acquireFileLock, acquireSessionWriteLock, withFileLock } from 'holdfast/session-lock';
import { expect, test } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { payload, payloadOrNull, temporarySession, until } from './helpers/old-session.js';
import { startModule } from './helpers/program.js';
import { type Kind, SessionHolder } from './helpers/session-holder.js';
import { slowness } from './helpers/slowness.js';

const hooked = needs('async hooks of promises');

const legacy = true;
const retries = { retries: 1, factor: 1, minTimeout: 100, maxTimeout: 100 };

test('legacy takes the file of the old protocol too, and gives it back first', async () => {
  const sessionFile = temporarySession();
  const session = await acquireSessionWriteLock({ sessionFile, legacy });
  const { pid, createdAt } = payload(sessionFile);
  expect(pid).toBe(process.pid);
  expect(Date.now() - Date.parse(String(createdAt))).toBeLessThan(10_000);
  await session.release();
  expect(existsSync(`${sessionFile}.lock`)).toBe(false);
  using free = tryLock(sessionFile);
  expect(free?.held).toBe(true);
});

needs('POSIX permissions')('the file of the old protocol can be read by others', async () => {
  const sessionFile = temporarySession();
  writeFileSync(sessionFile, '', { mode: 0o644 });
  await using _ = await acquireSessionWriteLock({ sessionFile, legacy });
  expect(statSync(`${sessionFile}.lock`).mode).toBe(statSync(sessionFile).mode);
});

needs('/proc')('the start time in the payload is the one of /proc', async () => {
  const sessionFile = temporarySession();
  await using _ = await acquireSessionWriteLock({ sessionFile, legacy });
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  expect(payload(sessionFile)['starttime']).toBe(Number(fields[19]));
});

hooked('legacy nests, and the last release removes the file', async () => {
  const sessionFile = temporarySession();
  const first = await acquireSessionWriteLock({ sessionFile, legacy });
  const second = await acquireFileLock(sessionFile, { retries, stale: 30_000, legacy });
  await withFileLock(sessionFile, { retries, stale: 30_000, legacy }, () => {});
  await first.release();
  await first.release();
  expect(payload(sessionFile)['pid']).toBe(process.pid);
  await second.release();
  expect(existsSync(`${sessionFile}.lock`)).toBe(false);
});

test('withFileLock() gives the file of the old protocol back when fn throws', async () => {
  const file = temporarySession();
  const failing = withFileLock(file, { retries, stale: 30_000, legacy }, () => {
    expect(existsSync(`${file}.lock`)).toBe(true);
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(existsSync(`${file}.lock`)).toBe(false);
});

test('a holder after the old protocol keeps out a new one, until it releases', async () => {
  const sessionFile = temporarySession();
  const old = await SessionHolder.start();
  await old.acquire('old', { sessionFile });
  const waiting = acquireSessionWriteLock({ sessionFile, legacy, timeoutMs: 120 });
  await expect(waiting).rejects.toThrow(
    `session file locked (timeout 120ms): pid=${old.pid} ${sessionFile}.lock`,
  );
  using free = tryLock(sessionFile);
  expect(free?.held).toBe(true);
  free?.release();
  const later = acquireSessionWriteLock({ sessionFile, legacy });
  await old.release();
  await (await later).release();
});

test('the time to hold a session begins when both locks are there', async () => {
  const sessionFile = temporarySession();
  const old = await SessionHolder.start();
  await old.acquire('old', { sessionFile });
  const maxHoldMs = 400 * slowness;
  const waiting = acquireSessionWriteLock({ sessionFile, legacy, maxHoldMs });
  await once(AbortSignal.timeout(2 * maxHoldMs), 'abort');
  await old.release();
  const { lock, release } = await waiting;
  expect(lock.held).toBe(true);
  await release();
});

test('a process that has nothing to do but to hold a session ends', async () => {
  const sessionFile = temporarySession();
  const { ended } = startModule(
    `
    const entry = new URL('session-lock/index.js', process.env.HOLDFAST_ENTRY);
    const { acquireSessionWriteLock } = await import(entry);
    const params = { sessionFile: process.argv[2], legacy: true };
    globalThis.session = await acquireSessionWriteLock(params);
  `,
    sessionFile,
  );
  expect(await ended).toEqual({ code: 0, stdout: '', stderr: '' });
  await (await acquireSessionWriteLock({ sessionFile, legacy })).release();
});

test('a new holder keeps out one after the old protocol, until it releases', async () => {
  const sessionFile = temporarySession();
  const session = await acquireSessionWriteLock({ sessionFile, legacy });
  const old = await SessionHolder.start();
  const waiting = old.acquire('old', { sessionFile, timeoutMs: 120 });
  await expect(waiting).rejects.toThrow(`pid=${process.pid} ${sessionFile}.lock`);
  const later = old.acquire('old', { sessionFile });
  await session.release();
  await later;
});

for (const [dying, next] of [
  ['old', 'new'],
  ['new', 'old'],
  ['new', 'new'],
] as const) {
  test(`after SIGKILL of ${dying === 'old' ? 'an' : 'a'} ${dying} holder a ${next} one gets the lock`, async () => {
    const sessionFile = temporarySession();
    const holder = await SessionHolder.start();
    await holder.acquire(dying, { sessionFile, legacy });
    const heir = await SessionHolder.start();
    const inherited = heir.acquire(next, { sessionFile, legacy });
    await holder.kill();
    await inherited;
    expect(payload(sessionFile)['pid']).toBe(heir.pid);
  });
}

test('an old holder that lives is believed, however old its file is', async () => {
  const sessionFile = temporarySession();
  const old = await SessionHolder.start();
  await old.acquire('old', { sessionFile });
  writeFileSync(
    `${sessionFile}.lock`,
    JSON.stringify({ pid: old.pid, createdAt: '2020-01-01T00:00:00.000Z' }),
  );
  utimesSync(`${sessionFile}.lock`, 1, 1);
  const waiting = acquireSessionWriteLock({ sessionFile, legacy, timeoutMs: 60, staleMs: 1 });
  await expect(waiting).rejects.toThrow('session file locked');
});

needs('symbolic links')(
  'a link to nothing is waited for until the timeout, not for ever',
  async () => {
    const sessionFile = temporarySession();
    symlinkSync(`${sessionFile}.gone`, `${sessionFile}.lock`, 'junction');
    const holder = await SessionHolder.start();
    const taking = holder.acquire('new', { sessionFile, legacy, timeoutMs: 60 });
    await expect(taking).rejects.toThrow('session file locked');
  },
);

test('the file is kept fresh, so that nobody finds it too old', async () => {
  const sessionFile = temporarySession();
  await using _ = await acquireSessionWriteLock({ sessionFile, legacy, staleMs: 200 });
  const { createdAt } = payload(sessionFile);
  const { mtimeMs } = statSync(`${sessionFile}.lock`);
  await until(() => payload(sessionFile)['createdAt'] !== createdAt);
  expect(statSync(`${sessionFile}.lock`).mtimeMs).toBeGreaterThan(mtimeMs);
  const old = await SessionHolder.start();
  const waiting = old.acquire('old', { sessionFile, timeoutMs: 500, staleMs: 200 });
  await expect(waiting).rejects.toThrow(`pid=${process.pid}`);
});

test('the file is left as it is as long as it is fresh', async () => {
  const sessionFile = temporarySession();
  await using _ = await acquireSessionWriteLock({ sessionFile, legacy });
  const { createdAt } = payload(sessionFile);
  await once(AbortSignal.timeout(100), 'abort');
  expect(payload(sessionFile)['createdAt']).toBe(createdAt);
});

test('when the lease ends, the file of the old protocol goes as well', async () => {
  const sessionFile = temporarySession();
  const holder = await SessionHolder.start();
  await holder.acquire('new', { sessionFile, legacy, maxHoldMs: 100 });
  const old = await SessionHolder.start();
  await old.acquire('old', { sessionFile });
  expect(payload(sessionFile)['pid']).toBe(old.pid);
  await holder.release();
  expect(payload(sessionFile)['pid']).toBe(old.pid);
});

test('while the loser of a lease is blocked, a new holder clears its file away', async () => {
  const sessionFile = temporarySession();
  const holder = await SessionHolder.start();
  await holder.acquire('new', { sessionFile, legacy, maxHoldMs: 150 });
  const blocked = holder.block(1_500);
  await using session = await acquireSessionWriteLock({ sessionFile, legacy });
  expect(payload(sessionFile)['pid']).toBe(process.pid);
  await blocked;
  await holder.release();
  expect(payload(sessionFile)['pid']).toBe(process.pid);
  expect(session.lock.held).toBe(true);
});

test('a new holder that takes over from a dead one makes sure that its file stays', async () => {
  const sessionFile = temporarySession();
  const old = await SessionHolder.start();
  const victim = await SessionHolder.start();
  await victim.kill();
  const createdAt = new Date().toISOString();
  writeFileSync(`${sessionFile}.lock`, JSON.stringify({ pid: victim.pid, createdAt }));
  const session = acquireSessionWriteLock({ sessionFile, legacy });
  await until(() => payloadOrNull(sessionFile)?.['pid'] === process.pid);
  // As an old program does that has read the dead pid before.
  rmSync(`${sessionFile}.lock`);
  writeFileSync(`${sessionFile}.lock`, JSON.stringify({ pid: old.pid, createdAt }), { flag: 'wx' });
  let isGranted = false;
  void session.then(() => {
    isGranted = true;
  });
  await once(AbortSignal.timeout(400), 'abort');
  expect(isGranted).toBe(false);
  rmSync(`${sessionFile}.lock`);
  await (await session).release();
});

test('an old program and new ones count one session alone, while others are killed', {
  timeout: 60_000 * slowness,
}, async () => {
  const folder = temporaryFolder();
  const sessionFile = join(folder, 'a.jsonl');
  const witness = join(folder, 'inside');
  writeFileSync(sessionFile, '0');
  const params = { sessionFile, legacy, timeoutMs: 30_000 };
  const kinds: Kind[] = ['old', 'new', 'old', 'new'];
  const times = 12;
  const count = async (kind: Kind) => {
    const holder = await SessionHolder.start();
    await holder.count(kind, params, witness, times);
    await holder.kill();
  };
  const killSome = async () => {
    for (let round = 0; round < 4; round += 1) {
      const victim = await SessionHolder.start();
      await victim.acquire(round % 2 === 0 ? 'new' : 'old', params);
      await victim.kill();
    }
  };
  await Promise.all([...kinds.map(count), killSome()]);
  expect(readFileSync(sessionFile, 'utf8')).toBe(String(kinds.length * times));
});
