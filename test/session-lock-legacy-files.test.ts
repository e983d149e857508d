import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { heldLocks, tryLock } from 'holdfast';
import { acquireFileLock, acquireSessionWriteLock } from 'holdfast/session-lock';
import { expect, test, vi } from 'vitest';
import { descriptorsOf } from './helpers/descriptors.js';
import { lost } from './helpers/lost.js';
import { needs } from './helpers/needs.js';
import { payload, payloadOrNull, temporarySession, until } from './helpers/old-session.js';
import { start } from './helpers/program.js';
import { allow, refuse, refuseAtFirst } from './helpers/refusals.js';
import { SessionHolder } from './helpers/session-holder.js';
import { startZombie } from './helpers/zombie.js';

function abortable() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason: unknown) => controller.abort(reason) };
}

const legacy = true;
const retries = { retries: 1, factor: 1, minTimeout: 100, maxTimeout: 100 };

const patched = needs('built-in modules that can be patched');

patched('a file that cannot be read is not taken for an orphan', async () => {
  const sessionFile = temporarySession();
  writeFileSync(`${sessionFile}.lock`, JSON.stringify({ pid: process.ppid }));
  utimesSync(`${sessionFile}.lock`, 1, 1);
  refuse('readFileSync', `${sessionFile}.lock`, 'EACCES');
  const taking = acquireSessionWriteLock({ sessionFile, legacy });
  await expect(taking).rejects.toMatchObject({ code: 'EACCES' });
  expect(existsSync(`${sessionFile}.lock`)).toBe(true);
  using free = tryLock(sessionFile);
  expect(free?.held).toBe(true);
});

patched('a file that cannot be written is not left empty', async () => {
  const sessionFile = temporarySession();
  refuse('writeFileSync', `${sessionFile}.lock`, 'ENOSPC');
  const taking = acquireSessionWriteLock({ sessionFile, legacy });
  await expect(taking).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(existsSync(`${sessionFile}.lock`)).toBe(false);
});

patched.each([
  ['created', 'openSync', 'ENOSPC'],
  ['taken away from a dead process', 'unlinkSync', 'EIO'],
] as const)('a file that cannot be %s is an error at once', async (_, name, code) => {
  const sessionFile = temporarySession();
  if (name === 'unlinkSync') await dead(sessionFile);
  refuseAtFirst(name, `${sessionFile}.lock`, code, 1);
  const taking = acquireSessionWriteLock({ sessionFile, legacy });
  await expect(taking).rejects.toMatchObject({ code });
  using free = tryLock(sessionFile);
  expect(free?.held).toBe(true);
});

patched("the file of a dead process that somebody else removes first is nobody's", async () => {
  const sessionFile = temporarySession();
  await dead(sessionFile);
  refuseAtFirst('unlinkSync', `${sessionFile}.lock`, 'ENOENT', 1);
  await (await acquireSessionWriteLock({ sessionFile, legacy })).release();
});

patched('a file that cannot be read for a while is kept and removed after that', async () => {
  const sessionFile = temporarySession();
  const { lock, release } = await acquireSessionWriteLock({ sessionFile, legacy, staleMs: 40 });
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  refuse('readFileSync', `${sessionFile}.lock`, 'EMFILE');
  await once(process, 'warning');
  allow();
  const before = payload(sessionFile)['createdAt'];
  await until(() => (payloadOrNull(sessionFile)?.['createdAt'] ?? before) !== before);
  refuse('readFileSync', `${sessionFile}.lock`, 'EMFILE');
  await release();
  expect(lock.held).toBe(false);
  expect(existsSync(`${sessionFile}.lock`)).toBe(true);
  allow();
  await until(() => !existsSync(`${sessionFile}.lock`));
  process.off('warning', onWarning);
  // It failed at least twice.
  expect(warnings).toMatchObject([{ cause: { code: 'EMFILE' } }]);
});

test('a file of this pid from before this process started is of an earlier container', async () => {
  const sessionFile = temporarySession();
  writeFileSync(
    `${sessionFile}.lock`,
    JSON.stringify({ pid: process.pid, createdAt: '2020-01-01T00:00:00.000Z' }),
  );
  await (await acquireSessionWriteLock({ sessionFile, legacy, timeoutMs: 60 })).release();
});

needs('/proc')('a pid that another process has now is not believed', async () => {
  const sessionFile = temporarySession();
  const other = await SessionHolder.start();
  const createdAt = new Date().toISOString();
  for (const start of [{ starttime: 1 }, { startTime: 1 }]) {
    writeFileSync(`${sessionFile}.lock`, JSON.stringify({ pid: other.pid, createdAt, ...start }));
    await (await acquireSessionWriteLock({ sessionFile, legacy, timeoutMs: 60 })).release();
  }
});

needs('/proc', 'sh')('a process that nobody reaps is dead', async () => {
  const sessionFile = temporarySession();
  const { pid } = await startZombie();
  const createdAt = new Date().toISOString();
  writeFileSync(`${sessionFile}.lock`, JSON.stringify({ pid, createdAt }));
  await (await acquireSessionWriteLock({ sessionFile, legacy, timeoutMs: 60 })).release();
});

test.each([
  ['31 s', undefined],
  ['2 s', 1_000],
] as const)('a torn file is left alone while it is younger than %s', async (age, staleMs) => {
  const sessionFile = temporarySession();
  const params = { sessionFile, legacy, timeoutMs: 60, ...(staleMs !== undefined && { staleMs }) };
  writeFileSync(`${sessionFile}.lock`, '{"pid":');
  await expect(acquireSessionWriteLock(params)).rejects.toThrow(`unknown ${sessionFile}.lock`);
  const before = Date.now() / 1_000 - Number.parseInt(age, 10);
  utimesSync(`${sessionFile}.lock`, before, before);
  await (await acquireSessionWriteLock(params)).release();
});

test('what names no process is torn, whatever else it says', async () => {
  const sessionFile = temporarySession();
  const pids = [0, -1, 1.5, String(process.pid), null];
  for (const content of [...pids.map((pid) => JSON.stringify({ pid })), 'null', '[]', '7', '']) {
    writeFileSync(`${sessionFile}.lock`, content);
    const params = { sessionFile, legacy, timeoutMs: 60 };
    await expect(acquireSessionWriteLock(params)).rejects.toThrow(`unknown ${sessionFile}.lock`);
    utimesSync(`${sessionFile}.lock`, 1, 1);
    await (await acquireSessionWriteLock(params)).release();
  }
});

test('a living process is believed whatever else its file says', async () => {
  const sessionFile = temporarySession();
  const { pid } = await SessionHolder.start();
  for (const content of [
    { pid, token: 5 },
    { pid, starttime: 'then' },
    { pid, startTime: 1.5 },
    { pid: process.pid, createdAt: 5 },
    { pid: process.pid, createdAt: 'then' },
    { pid: process.pid, createdAt: new Date(Date.now() - 500 * process.uptime()) },
  ]) {
    writeFileSync(`${sessionFile}.lock`, JSON.stringify(content));
    utimesSync(`${sessionFile}.lock`, 1, 1);
    const taking = acquireSessionWriteLock({ sessionFile, legacy, timeoutMs: 1, staleMs: 1 });
    await expect(taking).rejects.toThrow(`pid=${content.pid} ${sessionFile}.lock`);
  }
});

test.each([0, Number.NaN])(
  'a torn file is left alone while it is young, with stale %d',
  async (stale) => {
    const file = temporarySession();
    writeFileSync(`${file}.lock`, '{"pid":');
    const taking = acquireFileLock(file, { retries, stale, legacy });
    await expect(taking).rejects.toMatchObject({ code: 'file_lock_timeout', owner: 'unknown' });
  },
);

async function dead(sessionFile: string): Promise<void> {
  const victim = await SessionHolder.start();
  await victim.kill();
  const createdAt = new Date().toISOString();
  writeFileSync(`${sessionFile}.lock`, JSON.stringify({ pid: victim.pid, createdAt }));
}

test('a wait for the file of the old protocol ends with the reason of the signal', async () => {
  const sessionFile = temporarySession();
  const old = await SessionHolder.start();
  await old.acquire('old', { sessionFile });
  const { signal, abort } = abortable();
  const waiting = acquireSessionWriteLock({ sessionFile, legacy, signal });
  await until(() => heldLocks().length > 0);
  abort('enough');
  await expect(waiting).rejects.toBe('enough');
  expect(payload(sessionFile)['pid']).toBe(old.pid);
  using free = tryLock(sessionFile);
  expect(free?.held).toBe(true);
});

test('a wait for the file of the old protocol looks at it now and then, not all the time', async () => {
  const sessionFile = temporarySession();
  const { pid } = await SessionHolder.start();
  writeFileSync(`${sessionFile}.lock`, JSON.stringify({ pid }));
  // With each look it is asked whether the holder lives.
  using asked = vi.spyOn(process, 'kill');
  const waiting = acquireSessionWriteLock({ sessionFile, legacy, timeoutMs: 300 });
  await expect(waiting).rejects.toThrow('session file locked');
  const looks = asked.mock.calls.filter(([of]) => of === pid).length;
  expect(looks).toBeGreaterThan(0);
  expect(looks).toBeLessThan(10);
});

test('whoever takes over from a dead process gives others time who found it dead as well', async () => {
  const sessionFile = temporarySession();
  await dead(sessionFile);
  const before = performance.now();
  await using _ = await acquireSessionWriteLock({ sessionFile, legacy });
  expect(performance.now() - before).toBeGreaterThan(200);
});

test('a file that was taken over is removed when the wait for it is given up', async () => {
  const sessionFile = temporarySession();
  await dead(sessionFile);
  const { signal, abort } = abortable();
  const waiting = acquireSessionWriteLock({ sessionFile, legacy, signal });
  await until(() => payloadOrNull(sessionFile)?.['pid'] === process.pid);
  abort('enough');
  await expect(waiting).rejects.toBe('enough');
  expect(existsSync(`${sessionFile}.lock`)).toBe(false);
});

patched('a file that was taken over and cannot be removed for a while goes later', async () => {
  const sessionFile = temporarySession();
  await dead(sessionFile);
  const { signal, abort } = abortable();
  const waiting = acquireSessionWriteLock({ sessionFile, legacy, staleMs: 40, signal });
  await until(() => payloadOrNull(sessionFile)?.['pid'] === process.pid);
  refuse('readFileSync', `${sessionFile}.lock`, 'EMFILE');
  abort('enough');
  await expect(waiting).rejects.toBe('enough');
  expect(existsSync(`${sessionFile}.lock`)).toBe(true);
  allow();
  await until(() => !existsSync(`${sessionFile}.lock`));
});

test('a lock file that was deleted, whose tokens begin anew, needs a file of its own', async () => {
  const sessionFile = temporarySession();
  for (const maxHoldMs of [100, 300_000, 300_000]) {
    const { lock, release } = await acquireSessionWriteLock({ sessionFile, legacy, maxHoldMs });
    expect(payload(sessionFile)).toMatchObject({ pid: process.pid, token: '1' });
    if (maxHoldMs === 100) await lost(lock.signal);
    else await release();
    await until(() => !existsSync(`${sessionFile}.lock`));
    rmSync(`${sessionFile}.flock`);
  }
});

needs('POSIX permissions').each([
  ['a folder', 'ERR_LOCK_NOT_REGULAR', (path: string) => mkdirSync(path)],
  ['a circle of links', 'ELOOP', (path: string) => symlinkSync(path, path)],
] as const)('%s in place of the file is an error that names it', async (_, code, plant) => {
  const sessionFile = temporarySession();
  plant(`${sessionFile}.lock`);
  const taking = acquireSessionWriteLock({ sessionFile, legacy });
  const message = expect.stringContaining(`${sessionFile}.lock`);
  await expect(taking).rejects.toMatchObject({ code, message });
  using free = tryLock(sessionFile);
  expect(free?.held).toBe(true);
});

needs('mkfifo')('a FIFO in place of the file blocks nobody', async () => {
  const sessionFile = temporarySession();
  await start('mkfifo', [`${sessionFile}.lock`]).ended;
  const holder = await SessionHolder.start();
  const taking = holder.acquire('new', { sessionFile, legacy });
  await expect(taking).rejects.toMatchObject({ code: 'ERR_LOCK_NOT_REGULAR' });
});

needs('/proc')('keeping the file fresh leaves no descriptor', async () => {
  const sessionFile = temporarySession();
  await using _ = await acquireSessionWriteLock({ sessionFile, legacy, staleMs: 40 });
  for (let round = 0; round < 3; round += 1) {
    const { createdAt } = payload(sessionFile);
    await until(() => payload(sessionFile)['createdAt'] !== createdAt);
  }
  expect(descriptorsOf(null, `${sessionFile}.lock`)).toBe(0);
});

test('the file of a dead process costs no time to wait', async () => {
  const file = temporarySession();
  await dead(file);
  const atOnce = { ...retries, retries: 0 };
  await (await acquireFileLock(file, { retries: atOnce, stale: 30_000, legacy })).release();
  expect(existsSync(`${file}.lock`)).toBe(false);
});
