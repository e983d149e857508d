import {
  chmodSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { holdfast, holdfastWith } from './helpers/cli.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';
import { craftRecord } from './helpers/record.js';

async function hold(resource: string, label: string): Promise<Actor> {
  const actor = await Actor.start();
  await actor.run(
    async ({ holdfast, kept }, resource, label) => {
      kept['lock'] = await holdfast.lock(resource, { label, lease: 60_000 });
    },
    resource,
    label,
  );
  return actor;
}

async function table(...args: string[]): Promise<string[][]> {
  const { code, stdout, stderr } = await holdfast('status', ...args).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.trimEnd().split('\n');
  return lines.map((line) => line.trim().split(/ {2,}/));
}

async function json(...args: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout } = await holdfast('status', '--json', ...args).ended;
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

test('holdfast status shows who holds what, held ones first', async () => {
  const folder = temporaryFolder();
  tryLock(join(folder, 'a'))?.release();
  mkdirSync(join(folder, 'sub'));
  const actor = await hold(join(folder, 'sub', 'b'), 'append reply');
  const [header, first, second, ...more] = await table(folder);
  expect(header?.slice(0, 5)).toEqual(['LOCK FILE', 'STATE', 'PID', 'HOST', 'LABEL']);
  const [file, state, pid, , label, age, lease] = first as string[];
  expect([file, state, pid, label]).toEqual([
    join(folder, 'sub', 'b.flock'),
    'exclusive',
    String(actor.pid),
    'append reply',
  ]);
  expect(age).toMatch(/^\d+\.\d s$/);
  expect(lease).toMatch(/^≥ \d+\.\d s$/);
  expect(second?.slice(0, 3)).toEqual([join(folder, 'a.flock'), 'free', '-']);
  expect(more).toEqual([]);
});

/** A lock whose record says that it was taken so long ago. */
function heldFor(age: number, lease: number | null, folder: string) {
  const held = tryLock(join(folder, 'a'));
  const lockPath = held?.lockPath ?? '';
  const { holdfast: _, state: __, crc: ___, ...own } = JSON.parse(readFileSync(lockPath, 'utf8'));
  writeFileSync(lockPath, craftRecord({ ...own, since: Date.now() - age, lease }));
  return held;
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

test.each([
  [75 * second, null, /^1m [1-5]\ds$/, '-'],
  [2 * hour + 3.5 * minute, null, /^2h 0[34]m$/, '-'],
  [3 * day + 4.5 * hour, null, /^3d 4h$/, '-'],
  // Held for longer than its lease, it was renewed, no file says when.
  [3 * day, 90 * second, /^3d 0h$/, '≤ 1m 30s'],
  [3 * day, minute, /^3d 0h$/, '≤ 1m 00s'],
  [3 * day, hour, /^3d 0h$/, '≤ 1h 00m'],
  [3 * day, day, /^3d 0h$/, '≤ 1d 0h'],
  [0, 2 * day + 30 * minute, /^\d+\.\d s$/, '≥ 2d 0h'],
])('holdfast status shows an age of %i ms and a lease of %o', async (age, lease, ageText, left) => {
  const folder = temporaryFolder();
  using _ = heldFor(age, lease, folder);
  const [, row] = await table(folder);
  expect(row?.slice(5, 7)).toEqual([expect.stringMatching(ageText), left]);
});

test('holdfast status without a path shows this folder', async () => {
  const folder = temporaryFolder();
  using _ = tryLock(join(folder, 'a'), { label: 'here' });
  const { stdout } = await holdfastWith({ cwd: folder }, 'status').ended;
  expect(stdout).toMatch(/\na\.flock +exclusive +\d+ /);
});

test('holdfast status of a resource shows its lock file, of another file itself', async () => {
  const folder = temporaryFolder();
  const resource = join(folder, 'session.jsonl');
  writeFileSync(resource, '');
  using _ = tryLock(resource);
  const plain = join(folder, 'plain');
  writeFileSync(plain, 'data');
  const nothing = join(folder, 'nothing');
  const names = [resource, `${resource}.flock`, plain, nothing, `${nothing}/`];
  const rows = await json(...names, join(folder, 'none.flock'));
  expect(rows.map(({ lockPath, state }) => [lockPath, state])).toEqual([
    [`${resource}.flock`, 'exclusive'],
    [`${resource}.flock`, 'exclusive'],
    [plain, 'free'],
    [`${nothing}.flock`, 'missing'],
    [`${nothing}.flock`, 'missing'],
    [join(folder, 'none.flock'), 'missing'],
  ]);
});

needs('/proc', 'flock(1)')('holdfast status names flock(1) and who waits', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'x.flock');
  const { child, printed } = start('flock', [file, '-c', 'echo in; read line']);
  await printed('in');
  start('flock', [file, 'true']);
  await untilBlocked(file, 1);
  const [, row] = await table(folder);
  expect(row?.slice(1, 3)).toEqual(['exclusive', String(child.pid)]);
  expect(row?.slice(-2)).toEqual(['1', expect.stringMatching(/^\S*flock .*x\.flock -c/)]);
});

test('holdfast status shows the holder that crashed', async () => {
  const folder = temporaryFolder();
  const actor = await hold(join(folder, 'a'), 'append reply');
  await actor.kill();
  const [, row] = await table(folder);
  expect(row?.slice(1, 3)).toEqual(['free, crashed', String(actor.pid)]);
  expect(row).toContain('append reply');
});

needs('/proc')(
  'holdfast status shows one of the sharers, and how many more there are',
  async () => {
    const folder = temporaryFolder();
    using _ = tryLock(join(folder, 'a'), { mode: 'shared' });
    using __ = tryLock(join(folder, 'a'), { mode: 'shared' });
    const [, row] = await table(folder);
    expect(row?.slice(1, 3)).toEqual(['shared', `${process.pid} +1`]);
  },
);

needs('symbolic links', 'POSIX permissions')(
  'holdfast status sorts errors before what is held, and that before what crashed, is free or missing',
  async () => {
    const folder = temporaryFolder();
    const file = (name: string) => join(folder, `${name}.flock`);
    tryLock(join(folder, 'free'))?.release();
    await (await hold(join(folder, 'crashed'), 'append reply')).kill();
    using _ = tryLock(join(folder, 'shared'), { mode: 'shared' });
    using __ = tryLock(join(folder, 'held'));
    symlinkSync(file('free'), file('link'));
    const names = ['missing', 'free', 'crashed', 'shared', 'held', 'link'];
    const { code, stdout } = await holdfast('status', '--json', ...names.map(file)).ended;
    expect(code).toBe(74);
    const rows = JSON.parse(stdout) as { lockPath: string }[];
    expect(rows.map(({ lockPath }) => lockPath)).toEqual(names.reverse().map(file));
    expect(rows[0]).toEqual({
      lockPath: file('link'),
      state: 'error',
      error: expect.stringContaining('link.flock'),
    });
  },
);

test('holdfast status says when there is nothing', async () => {
  const { stdout } = await holdfast('status', temporaryFolder()).ended;
  expect(stdout).toBe('no lock files\n');
});

test('holdfast status --json has all there is, tokens as text', async () => {
  const folder = temporaryFolder();
  const actor = await hold(join(folder, 'a'), 'append reply');
  const [row, ...more] = await json(folder);
  expect(more).toEqual([]);
  expect(row).toMatchObject({
    lockPath: join(folder, 'a.flock'),
    state: 'exclusive',
    holder: { pid: actor.pid, label: 'append reply', token: '1', lease: 60_000 },
    crashed: false,
    previousHolder: null,
  });
  expect(row?.['leaseLeftMs']).toBeGreaterThan(0);
});

test('holdfast status --json has 0 ms left of a lease that was renewed, no file says when', async () => {
  const folder = temporaryFolder();
  using _ = heldFor(day, minute, folder);
  expect(await json(folder)).toMatchObject([{ leaseLeftMs: 0 }]);
});

async function expectNoEscapeCodes(name: string, label: string): Promise<void> {
  const folder = temporaryFolder();
  using _ = tryLock(join(folder, name), { label });
  for (const flags of [[], ['--json']]) {
    const { stdout } = await holdfast('status', ...flags, folder).ended;
    expect(stdout).toContain('exclusive');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be there
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u{e0001}]/u);
  }
  expect((await json(folder))[0]?.['holder']).toMatchObject({ label });
}

test('holdfast status shows no escape codes of a hostile label', () =>
  expectNoEscapeCodes('a', 'x\x1b]0;title\x07\x7f\u202e\u2028\u2029\x9b\u{e0001}y'));

needs('control characters in file names')(
  'holdfast status shows no escape codes of a hostile file name',
  () => expectNoEscapeCodes('a\x1b[31m', 'x'),
);

test('holdfast status to a pipe has no colours, whatever the state', async () => {
  const folder = temporaryFolder();
  using _ = tryLock(join(folder, 'a'));
  expect((await holdfast('status', folder).ended).stdout).not.toContain('\x1b');
});

test('holdfast status follows no links and takes no age for a sign of anything', async () => {
  const folder = temporaryFolder();
  const held = tryLock(join(folder, 'a'));
  utimesSync(join(folder, 'a.flock'), 0, 0);
  symlinkSync(join(folder, 'a.flock'), join(folder, 'b.flock'));
  symlinkSync(folder, join(folder, 'loop'));
  expect((await json(folder)).map(({ state }) => state)).toEqual(['exclusive']);
  held?.release();
});

test('holdfast status looks at a thousand lock files', async () => {
  const folder = temporaryFolder();
  for (let i = 0; i < 1_000; i += 1) writeFileSync(join(folder, `${i}.flock`), '');
  using _ = tryLock(join(folder, '500'));
  const rows = await json(folder);
  expect(rows.length).toBe(1_000);
  expect(rows[0]).toMatchObject({ lockPath: join(folder, '500.flock'), state: 'exclusive' });
});

needs('root', 'sh')('holdfast status says what it could not look at, and goes on', async () => {
  const folder = temporaryFolder('/tmp');
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'closed'), { mode: 0o700 });
  tryLock(join(folder, 'a'), { fileMode: 0o666 })?.release();
  const { code, stdout } = await holdfastWith({ uid: 65534, gid: 65534 }, 'status', folder).ended;
  expect(code).toBe(74);
  expect(stdout).toMatch(/closed +error +EACCES/);
  // The columns are no wider for the message.
  expect(stdout).toMatch(/PID {2}HOST/);
  expect(stdout).toMatch(/a\.flock +free/);
});

test('holdfast status refuses an empty path', async () => {
  const { code, stdout, stderr } = await holdfast('status', temporaryFolder(), '').ended;
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toBe('holdfast: a PATH must not be empty\n');
});
