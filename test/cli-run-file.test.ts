import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants as system } from 'node:os';
import { dirname, join } from 'node:path';
import { tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { untilBlocked } from './helpers/blocked.js';
import { cliPath, holdfast, holdfastWith } from './helpers/cli.js';
import { lockFile, node, waits } from './helpers/cli-run.js';
import { faults } from './helpers/faults.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';
import { untilOpen } from './helpers/until-open.js';

/** A script that ends when its standard input does. */
function script(): string {
  const file = join(temporaryFolder(), 'script');
  writeFileSync(file, '#!/bin/sh\necho in\nread line\nexit 7\n', { mode: 0o755 });
  return file;
}

needs('/proc', 'sh').each(['run', 'run --inherit'])(
  'holdfast %s locks the script that it runs, and keeps nobody from running it',
  async (how) => {
    const file = script();
    const first = holdfast(...how.split(' '), file, file);
    await first.printed('in');
    const second = holdfast(...how.split(' '), file, file);
    await untilBlocked(file, 1);
    const unguarded = start(file, []);
    await unguarded.printed('in');
    unguarded.child.stdin?.end();
    expect((await unguarded.ended).code).toBe(7);
    first.child.stdin?.end();
    await second.printed('in');
    expect(tryLock('x', { lockPath: file, record: false })).toBeNull();
    second.child.stdin?.end();
    for (const { ended } of [first, second])
      expect(await ended).toMatchObject({ code: 7, stderr: '' });
  },
);

needs('files that are protected from writing')(
  'holdfast run locks an empty file that may only be read, without a record',
  async () => {
    const file = lockFile();
    writeFileSync(file, '', { mode: 0o444 });
    const run = await holdfast('run', file, ...node('console.log("in")')).ended;
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(file, 'utf8')).toBe('');
  },
);

needs('the right to mount', 'faults by LD_PRELOAD').each([
  ['run', {}],
  ['run --inherit', {}],
  // Opened for writing first, which an exclusive lock would need there.
  ['run --inherit --shared', { FAULT_STATFS: '0x6969' }],
])('holdfast %s locks a file on a read-only file system', async (how, fault) => {
  const folder = temporaryFolder();
  const mount =
    'mount -t tmpfs none "$0" && touch "$0/lock" && mount -o remount,ro "$0" && exec "$@"';
  const command = [process.execPath, cliPath, ...how.split(' '), join(folder, 'lock')];
  const args = ['-m', 'sh', '-c', mount, folder, ...command, 'echo', 'in'];
  const env = { ...process.env, ...faults, ...fault };
  const run = await start('unshare', args, { env }).ended;
  expect(run).toEqual({ code: 0, stdout: 'in\n', stderr: '' });
});

needs('Windows')('holdfast run says how to run what is for the shell', async () => {
  const file = lockFile();
  const script = join(dirname(file), 'script.cmd');
  writeFileSync(script, '@echo in\r\n');
  for (const name of [script, script.slice(0, -4)]) {
    const { code, stderr } = await holdfast('run', file, '--', name).ended;
    expect({ code, stderr }).toEqual({ code: 69, stderr: expect.stringContaining('needs -c') });
  }
  const run = await holdfast('run', file, '-c', `"${script}"`).ended;
  expect(run).toEqual({ code: 0, stdout: 'in\r\n', stderr: '' });
});

needs('Windows')('holdfast run locks the program that it runs', async () => {
  const file = join(temporaryFolder(), 'program.exe');
  copyFileSync(process.env['ComSpec'] ?? '', file);
  const run = await holdfast('run', file, file, '/c', 'echo in').ended;
  expect(run).toEqual({ code: 0, stdout: 'in\r\n', stderr: '' });
});

/** For what a process has opened this file: O_RDONLY or O_RDWR. */
function modesOf(pid: number | undefined, file: string): number[] {
  const folder = `/proc/${pid}/fd`;
  const open = readdirSync(folder).filter((fd) => readlinkSync(join(folder, fd)) === file);
  return open.map((fd) => {
    const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
    return Number.parseInt(/^flags:\s*(\d+)$/m.exec(info)?.[1] ?? '', 8) & 3;
  });
}

needs('faults by LD_PRELOAD', '/proc').each([
  ['reading', 'elsewhere', 0o755, {}, constants.O_RDONLY],
  ['writing', 'on NFS', 0o755, { FAULT_STATFS: '0x6969' }, constants.O_RDWR],
  // Only through such a descriptor there is a queue before the lock.
  ['writing', 'where nobody may run it', 0o644, {}, constants.O_RDWR],
] as const)('a script is locked by a descriptor for %s %s', async (_, __, rights, fault, mode) => {
  const file = script();
  chmodSync(file, rights);
  const env = { ...process.env, ...faults, ...fault };
  const run = holdfastWith({ env }, 'run', file, ...waits);
  await run.printed('in');
  expect(modesOf(run.child.pid, file)).toEqual([mode]);
  run.child.stdin?.end();
  expect((await run.ended).code).toBe(0);
});

const writes = (file: string, content: string) =>
  node(`require("fs").writeFileSync(${JSON.stringify(file)}, ${JSON.stringify(content)})`);

test.each(['data\n', ''])('what COMMAND writes into FILE stays as it is: %j', async (content) => {
  const file = lockFile();
  const run = await holdfast('run', file, ...writes(file, content)).ended;
  expect(run).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(readFileSync(file, 'utf8')).toBe(content);
  using later = tryLock('x', { lockPath: file, record: false });
  expect(later?.held).toBe(true);
});

needs('/proc')('holdfast run locks a FILE that was filled while it waited', async () => {
  const file = lockFile();
  using held = tryLock('x', { lockPath: file });
  const run = holdfast('run', '-w', '60', file, ...node('console.log("granted")'));
  await untilBlocked(file, 1);
  writeFileSync(file, 'data\n');
  held?.release();
  expect(await run.ended).toEqual({ code: 0, stdout: 'granted\n', stderr: '' });
});

needs('faults by LD_PRELOAD').each([
  ['on NFS, where that needs a descriptor for writing', { FAULT_STATFS: '0x6969' }],
  ['of somebody else in a sticky folder', { FAULT_STICKY: '1' }],
])('holdfast run --inherit locks a file %s, but follows no link', async (_, fault) => {
  const folder = temporaryFolder();
  const [file, link] = [join(folder, 'a.flock'), join(folder, 'link')];
  writeFileSync(file, '');
  symlinkSync(file, link);
  const env = { ...process.env, ...faults, ...fault };
  const codes = [file, link].map(async (path) => {
    const run = await holdfastWith({ env }, 'run', '--inherit', path, ...node('')).ended;
    return run.code;
  });
  expect(await Promise.all(codes)).toEqual([0, 66]);
});

needs('faults by LD_PRELOAD', '/proc').each([
  ['was replaced while it was opened', true],
  ['was deleted while it was opened', false],
])(
  'holdfast run --inherit locks what stands at the path of a FILE that %s',
  async (_, replaced) => {
    const file = lockFile();
    const go = join(temporaryFolder(), 'go');
    const env = { ...process.env, ...faults, FAULT_LOCK_UNTIL: go };
    const run = holdfastWith({ env }, 'run', '--inherit', '-n', file, ...node('console.log("in")'));
    await untilOpen(run, file);
    renameSync(file, `${file}.old`);
    using _held = replaced ? tryLock('x', { lockPath: file }) : null;
    writeFileSync(go, '');
    expect(await run.ended).toMatchObject(
      replaced ? { code: 1, stdout: '' } : { code: 0, stdout: 'in\n' },
    );
    expect(existsSync(file)).toBe(true);
  },
);

test.each([[], ['--inherit']])(
  'holdfast run %s takes a name with a slash at its end for a folder',
  async (...flags) => {
    const file = lockFile();
    const { code, stdout, stderr } = await holdfast('run', ...flags, `${file}/`, ...waits).ended;
    expect({ code, stdout }).toEqual({ code: 66, stdout: '' });
    expect(stderr).toMatch(/^holdfast: [^\n]+\n$/);
    expect(existsSync(file)).toBe(false);
  },
);

needs('faults by LD_PRELOAD')('a record that cannot be written is code 74', async () => {
  const env = { ...process.env, ...faults, FAULT_WRITE: String(system.errno.EFBIG) };
  const { code, stderr } = await holdfastWith({ env }, 'run', lockFile(), ...node('')).ended;
  expect(code).toBe(74);
  expect(stderr).toMatch(/^holdfast: EFBIG: [^\n]*pwrite[^\n]*\n$/);
});

needs('sh', '/proc')('the exit code stands where nothing can be said', async () => {
  const command = '"$0" "$1" run "$2" /nonexistent 2>/dev/full; echo "code $?"';
  const args = ['-c', command, process.execPath, cliPath, lockFile()];
  expect((await start('sh', args).ended).stdout).toBe('code 69\n');
});
