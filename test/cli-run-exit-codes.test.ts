import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { tryLock } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { untilBlocked } from './helpers/blocked.js';
import { cliPath, holdfast, holdfastWith } from './helpers/cli.js';
import { lockFile, node } from './helpers/cli-run.js';
import { faults } from './helpers/faults.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { type Program, start } from './helpers/program.js';

const codeOf = async (program: Program) => (await program.ended).code;

describe('holdfast run exits with', () => {
  test('the code of its command', async () => {
    expect((await holdfast('run', lockFile(), ...node('process.exit(7)')).ended).code).toBe(7);
  });

  needs('POSIX signals')('128 + n when signal n ended the command', async () => {
    for (const [signal, code] of [
      ['SIGTERM', 143],
      ['SIGKILL', 137],
    ] as const) {
      const killed = node(`process.kill(process.pid, "${signal}")`);
      expect((await holdfast('run', lockFile(), ...killed).ended).code).toBe(code);
    }
  });

  test('1 when the lock is held and -n was given, and says by whom', async () => {
    const lockPath = lockFile();
    using _ = tryLock('x', { lockPath, label: 'busy' });
    const { code, stderr } = await holdfast('run', '-n', lockPath, ...node('')).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(
        `^holdfast: .* was not locked: held for .* by pid ${process.pid} .*\\("busy"\\)\n$`,
      ),
    );
  });

  test('what -E says when the time of -w is over', async () => {
    const lockPath = lockFile();
    using _ = tryLock('x', { lockPath });
    const run = holdfast('run', '-w', '0.05', '-E', '99', '-q', lockPath, ...node(''));
    expect(await run.ended).toEqual({ code: 99, stdout: '', stderr: '' });
    expect((await holdfast('run', '-w', '0', '-q', lockPath, ...node('')).ended).code).toBe(1);
    const told = await holdfast('run', '-w', '0.05', lockPath, ...node('')).ended;
    expect(told.stderr).toContain(`${lockPath} was not locked after 0.05 s: `);
  });

  needs('faults by LD_PRELOAD')(
    'the code of its command also where the system refuses to unlock FILE',
    async () => {
      const file = lockFile();
      const env = { ...process.env, ...faults, FAULT_UNLOCK: String(constants.errno.EIO) };
      const run = holdfastWith({ env }, 'run', file, ...node('process.exit(7)'));
      const { code, stderr } = await run.ended;
      expect(stderr).toMatch(/^holdfast: EIO: [^\n]+\n$/);
      expect(code).toBe(7);
      using held = tryLock('x', { lockPath: file });
      expect(held).not.toBeNull();
    },
  );

  needs('sh')('69 when there is no such shell for -c, and names it', async () => {
    const env = { ...process.env, SHELL: '/no/such/shell' };
    const { code, stderr } = await holdfastWith({ env }, 'run', lockFile(), '-c', 'true').ended;
    expect(code).toBe(69);
    expect(stderr).toBe('holdfast: failed to execute /no/such/shell: ENOENT\n');
  });

  test('69 for a command without a name, and says so', async () => {
    const { code, stderr } = await holdfast('run', lockFile(), '').ended;
    expect(code).toBe(69);
    expect(stderr).toMatch(/^holdfast: failed to execute the command: \w+\n$/);
  });

  needs('flock(1)')('the code of flock(1) when the lock is held', async () => {
    const lockPath = lockFile();
    using _ = tryLock('x', { lockPath });
    for (const [code, ...args] of [
      [1, '-n'],
      [1, '-ns'],
      [0, '-n', '-E', '0'],
      [255, '-nE255'],
      [10, '--nonblock', '--conflict-exit-code=010'],
      [4, '-w', '0', '-E', '4'],
      [1, '--wait=.01'],
      [1, '-w', '10', '-n'],
    ] as [number, ...string[]][]) {
      const words = [...args, lockPath, 'true'];
      expect(
        await Promise.all([codeOf(holdfast('run', ...words)), codeOf(start('flock', words))]),
      ).toEqual([code, code]);
    }
  });

  needs('prlimit(1)')(
    '71 when there are no descriptors left to start the command with',
    async () => {
      const lockPath = lockFile();
      const held = tryLock('x', { lockPath });
      const { child, ended } = holdfast('run', lockPath, ...node(''));
      await untilBlocked(lockPath, 1);
      execFileSync('prlimit', ['--nofile=0:0', '--pid', String(child.pid)]);
      held?.release();
      const { code, stderr } = await ended;
      expect(stderr).toMatch(/^holdfast: failed to execute .*: EMFILE\n$/m);
      expect(code).toBe(71);
    },
  );

  test.each([
    ['--shared and --exclusive exclude each other', ['-s', '-x']],
    ["--wait must be a number of seconds, not '-1'", ['--wait=-1']],
    ["--wait must be a number of seconds, not ''", ['-w', '']],
    ["--wait must be a number of seconds, not ' '", ['-w', ' ']],
    ["--lease must be a number of seconds, not 'Infinity'", ['-l', 'Infinity']],
    ['--lease must be above 0', ['-l', '0']],
    ["--conflict-exit-code must be from 0 to 255, not '0x1'", ['-E', '0x1']],
    ['-c takes one SHELL COMMAND, and nothing after it', [], ['-c']],
  ])('64 for what cannot be meant, without a lock: %s', async (message, flags, rest = node('')) => {
    const file = lockFile();
    const run = holdfast('run', ...flags, file, ...rest);
    expect(await run.ended).toEqual({ code: 64, stdout: '', stderr: `holdfast: ${message}\n` });
    expect(existsSync(file)).toBe(false);
  });

  // The value of an option is not one.
  test.each(['', '-n', '-w 5', '-w 5 --', '-- --'])('64 without a FILE: run %s', async (line) => {
    const args = line === '' ? [] : line.split(' ');
    const stderr = 'holdfast: a FILE is missing\n';
    expect(await holdfast('run', ...args).ended).toEqual({ code: 64, stdout: '', stderr });
  });

  test.each([
    ['-l', '5'],
    ['--label', 'backup'],
  ])('64 for --inherit with %s, which only a holder of its own has', async (...flags) => {
    const run = await holdfast('run', '--inherit', ...flags, lockFile(), ...node('')).ended;
    expect({ code: run.code, stdout: run.stdout }).toEqual({ code: 64, stdout: '' });
    // Windows has no locks to inherit at all.
    expect(run.stderr).toMatch(
      /^holdfast: --inherit( excludes --lease and --label|: Windows .*)\n$/,
    );
  });

  const onMount = needs('the right to mount', 'flock(1)');
  onMount.each([
    ['a read-only file system', 'ro'],
    ['a full one', 'nr_inodes=1'],
  ])('73, as flock(1) does, when FILE would be made on %s', async (_, option) => {
    const folder = temporaryFolder();
    const mount = 'mount -t tmpfs -o "$0" none "$1" && shift && exec "$@"';
    const within = ['-m', 'sh', '-c', mount, option, folder];
    const run = [process.execPath, cliPath, 'run'];
    for (const command of [run, [...run, '--inherit'], ['flock']]) {
      const { code } = await start('unshare', [...within, ...command, join(folder, 'lock'), 'true'])
        .ended;
      expect(code).toBe(73);
    }
  });

  test('66 for what is no file, and advice about FILE', async () => {
    for (const end of ['', '/']) {
      const { code, stderr } = await holdfast('run', temporaryFolder() + end, ...node('')).ended;
      expect(code).toBe(66);
      expect(stderr).toMatch(/: let FILE be [^\n]+\n$/);
    }
  });

  onMount('73 when FILE is on a full file system, and how to lock it there', async () => {
    const folder = temporaryFolder();
    const mount = 'mount -t tmpfs -o size=64k none "$0" && cd "$0" && > lock';
    const script = `${mount} && cat /dev/zero > zeros 2>&-; exec "$@"`;
    const run = ['-m', 'sh', '-c', script, folder, process.execPath, cliPath, 'run'];
    const refused = await start('unshare', [...run, 'lock', 'true']).ended;
    expect(refused).toMatchObject({ code: 73, stderr: expect.stringContaining('use --inherit') });
    const advised = await start('unshare', [...run, '--inherit', 'lock', 'true']).ended;
    expect(advised).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  // The codes of util-linux, which is asked for them where it is there.
  const cases: [name: string, code: number, args: (file: string) => string[]][] = [
    ['an unknown option', 64, (file) => ['--bogus', file, 'true']],
    ['no FILE', 64, () => []],
    ['no COMMAND', 64, (file) => [file]],
    ['more than a line after -c', 64, (file) => [file, '-c', 'true', 'more']],
    ['-w without a number', 64, (file) => ['-w', 'x', file, 'true']],
    ['-E out of range', 64, (file) => ['-E', '256', file, 'true']],
    ['a folder that is not there', 66, (file) => [`${file}/below/it`, 'true']],
    ['a command that is not there', 69, (file) => [file, '/nonexistent']],
    ['a command that is not executable', 69, (file) => [file, '/etc/passwd']],
    ['a command without a name', 69, (file) => [file, '']],
  ];
  test.each(cases)('for %s the code %i and one line', async (_, code, args) => {
    const { code: own, stderr } = await holdfast('run', ...args(lockFile())).ended;
    expect(own).toBe(code);
    expect(stderr).toMatch(/^holdfast: [^\n]+\n$/);
  });
  needs('flock(1)').each(cases)('for %s the code of flock(1)', async (_, code, args) => {
    expect((await start('flock', args(lockFile())).ended).code).toBe(code);
  });
});
