import {
  constants,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
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
  ['reading', 'elsewhere', {}, constants.O_RDONLY],
  ['writing', 'on NFS', { FAULT_STATFS: '0x6969' }, constants.O_RDWR],
] as const)('a script is locked by a descriptor for %s %s', async (_, __, fault, mode) => {
  const file = script();
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
