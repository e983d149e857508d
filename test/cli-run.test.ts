import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { flock, inspect, lock, tryLock } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { untilBlocked } from './helpers/blocked.js';
import { holdfast, Terminal } from './helpers/cli.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

const lockFile = () => join(temporaryFolder(), 'lock');
const node = (source: string) => ['--', process.execPath, '-e', source];
/** A command that says that it runs, and ends when its standard input does. */
const waits = node('console.log("in"); process.stdin.resume()');

test('holdfast run creates the file, runs the command and frees the lock', async () => {
  const file = lockFile();
  const { code, stdout, stderr } = await holdfast('run', file, ...node('console.log("hi")')).ended;
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'hi\n', stderr: '' });
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ state: 'free' });
});

needs('POSIX permissions')('holdfast run creates the file for its user only', async () => {
  const file = lockFile();
  await holdfast('run', file, ...node('')).ended;
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('holdfast run shows its label to whoever asks', async () => {
  const file = lockFile();
  const { child, printed, ended } = holdfast('run', '--label', 'nightly', file, ...waits);
  await printed('in');
  expect(await inspect('x', { lockPath: file })).toMatchObject({
    state: 'exclusive',
    holder: { pid: child.pid, label: 'nightly' },
  });
  child.stdin?.end();
  await ended;
});

test('holdfast run passes standard input, output and error through', async () => {
  const echo = node('process.stdin.pipe(process.stdout); console.error("to stderr")');
  const { child, ended } = holdfast('run', lockFile(), ...echo);
  child.stdin?.end('through');
  expect(await ended).toEqual({ code: 0, stdout: 'through', stderr: 'to stderr\n' });
});

test('holdfast run passes arguments as they are, with or without the two dashes', async () => {
  const echo = [process.execPath, '-e', 'console.log(process.argv.slice(1).join("|"))', '--'];
  const odd = ['-n', '--', 'a b', '"', '$HOME', '*', ''];
  for (const dashes of [['--'], []]) {
    const { stdout } = await holdfast('run', lockFile(), ...dashes, ...echo, ...odd).ended;
    expect(stdout).toBe(`${odd.join('|')}\n`);
  }
});

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
  });

  // The codes of util-linux, which is asked for them where it is there.
  const cases: [name: string, code: number, args: (file: string) => string[]][] = [
    ['an unknown option', 64, (file) => ['--bogus', file, 'true']],
    ['no FILE', 64, () => []],
    ['no COMMAND', 64, (file) => [file]],
    ['-w without a number', 64, (file) => ['-w', 'x', file, 'true']],
    ['-E out of range', 64, (file) => ['-E', '256', file, 'true']],
    ['a folder that is not there', 66, (file) => [`${file}/below/it`, 'true']],
    ['a command that is not there', 69, (file) => [file, '/nonexistent']],
    ['a command that is not executable', 69, (file) => [file, '/etc/passwd']],
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

needs('flock(1)')('holdfast run and flock(1) exclude each other', async () => {
  const file = lockFile();
  const ours = holdfast('run', file, ...waits);
  await ours.printed('in');
  expect((await start('flock', ['-n', file, 'true']).ended).code).toBe(1);
  expect((await start('flock', ['-n', '-s', file, 'true']).ended).code).toBe(1);
  ours.child.stdin?.end();
  await ours.ended;
  const theirs = start('flock', [file, '-c', 'echo in; read line']);
  await theirs.printed('in');
  const refused = await holdfast('run', '-n', file, ...node('')).ended;
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toMatch(new RegExp(`held by pid ${theirs.child.pid} \\(\\S*flock `));
  theirs.child.stdin?.end();
  await theirs.ended;
});

needs('flock(1)')('holdfast run -s shares with flock -s and keeps out flock -x', async () => {
  const file = lockFile();
  const ours = holdfast('run', '-s', file, ...waits);
  await ours.printed('in');
  expect((await start('flock', ['-n', '-s', file, 'true']).ended).code).toBe(0);
  expect((await start('flock', ['-n', file, 'true']).ended).code).toBe(1);
  expect((await holdfast('run', '-ns', file, ...node('')).ended).code).toBe(0);
});

needs('/proc')('holdfast run waits for its turn', async () => {
  const lockPath = lockFile();
  const held = tryLock('x', { lockPath });
  const run = holdfast('run', lockPath, ...node('console.log("granted")'));
  await untilBlocked(lockPath, 1);
  held?.release();
  expect(await run.ended).toMatchObject({ code: 0, stdout: 'granted\n' });
});

test('holdfast run locks a file with other content and leaves it as it is', async () => {
  const file = lockFile();
  writeFileSync(file, 'my data\n');
  const { child, printed, ended } = holdfast('run', file, ...waits);
  await printed('in');
  expect((await inspect('x', { lockPath: file })).state).toBe('exclusive');
  child.stdin?.end();
  expect(await ended).toMatchObject({ code: 0, stderr: '' });
  expect(readFileSync(file, 'utf8')).toBe('my data\n');
});

needs('POSIX signals')('holdfast run passes signals on and waits for the command', async () => {
  const handler = (signal: string) =>
    node(
      `process.on("${signal}", () => process.exit(42)); console.log("in"); setInterval(() => {}, 1e6)`,
    );
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const) {
    const { child, printed, ended } = holdfast('run', lockFile(), ...handler(signal));
    await printed('in');
    child.kill(signal);
    expect((await ended).code).toBe(42);
  }
});

needs('POSIX signals')(
  'a signal while holdfast run waits ends it, and not the holder',
  async () => {
    const lockPath = lockFile();
    using held = tryLock('x', { lockPath });
    const { child, ended } = holdfast('run', lockPath, ...node(''));
    await untilBlocked(lockPath, 1);
    child.kill('SIGTERM');
    expect((await ended).code).toBeNull();
    expect(held?.held).toBe(true);
  },
);

needs('tmux')('Ctrl-C reaches the command once', async () => {
  const folder = temporaryFolder();
  const terminal = new Terminal(folder);
  const count = `
    let n = 0;
    process.on("SIGINT", () => console.log("count", ++n));
    process.stdin.once("data", () => { console.log("in all", n); process.exit(); });
    console.log("ready");`;
  writeFileSync(join(folder, 'count.js'), count);
  terminal.run('run', 'lock', '--', process.execPath, 'count.js');
  await terminal.shows(/ready/);
  terminal.press('C-c');
  await terminal.shows(/count 1/);
  terminal.press('C-c');
  await terminal.shows(/count 2/);
  terminal.press('Enter');
  await terminal.shows(/in all 2/);
});

const leavesAChild = node(
  `require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6)"],
    { detached: true, stdio: ["ignore", "ignore", "ignore", ...EXTRA] })
    .once("spawn", function () { console.log(this.pid); process.exit(); })`,
);
const leaving = (extra: string) => leavesAChild.map((word) => word.replace('EXTRA', extra));

test('a background child of the command does not keep the lock', async () => {
  const file = lockFile();
  const { stdout } = await holdfast('run', file, ...leaving('[]')).ended;
  expect((await inspect('x', { lockPath: file })).state).toBe('free');
  process.kill(Number(stdout), 'SIGKILL');
});

const inherits = needs('/proc', 'sh');

inherits('with --inherit a background child keeps the lock until it ends', async () => {
  const file = lockFile();
  const { stdout } = await holdfast('run', '--inherit', file, ...leaving('[3]')).ended;
  const { state, holder } = await inspect('x', { lockPath: file });
  expect({ state, pid: holder?.pid }).toEqual({ state: 'exclusive', pid: Number(stdout) });
  process.kill(Number(stdout), 'SIGKILL');
  using _ = await lock('x', { lockPath: file });
});

inherits('with --inherit the command keeps the lock when holdfast is killed', async () => {
  const file = lockFile();
  const script = 'echo $$; exec sleep 1000';
  const { child, printed } = holdfast('run', '--inherit', file, '--', 'sh', '-c', script);
  let pid = '';
  child.stdout?.on('data', (text) => {
    pid += text;
  });
  await printed('\n');
  child.kill('SIGKILL');
  expect((await inspect('x', { lockPath: file })).state).toBe('exclusive');
  process.kill(Number(pid), 'SIGKILL');
});

inherits('with --inherit holdfast run waits and excludes as without', async () => {
  const lockPath = lockFile();
  const held = tryLock('x', { lockPath });
  expect((await holdfast('run', '--inherit', '-n', lockPath, ...node('')).ended).code).toBe(1);
  const run = holdfast('run', '--inherit', lockPath, ...waits);
  await untilBlocked(lockPath, 1);
  held?.release();
  await run.printed('in');
  expect(tryLock('x', { lockPath, record: false })).toBeNull();
  run.child.stdin?.end();
  expect((await run.ended).code).toBe(0);
  using _ = tryLock('x', { lockPath });
});

test('the lock is free when holdfast run itself is killed', async () => {
  const lockPath = lockFile();
  const { child, printed } = holdfast('run', lockPath, ...waits);
  await printed('in');
  child.kill('SIGKILL');
  using held = await lock('x', { lockPath });
  expect(held.previousHolder).toMatchObject({ pid: child.pid });
});

needs('POSIX signals')(
  'a lease is renewed while holdfast run lives, and lost when it hangs',
  async () => {
    const lockPath = lockFile();
    // More than two leases: only renewals keep it.
    const later = 'setTimeout(() => console.log("in"), 2_000); process.stdin.resume()';
    const run = holdfast('run', '-l', '0.8', lockPath, ...node(later));
    const { child, printed, ended } = run;
    await printed('in');
    const { state, holder } = await inspect('x', { lockPath });
    expect({ state, lease: holder?.lease }).toEqual({ state: 'exclusive', lease: 800 });
    // Stopped for longer than the lease. When it goes on, its renewal may still come before its
    // watchdog: then nothing was lost, and it is stopped again.
    while (child.exitCode === null) {
      child.kill('SIGSTOP');
      await sleep(1_000);
      child.kill('SIGCONT');
      await Promise.race([ended, sleep(200)]);
    }
    const { code, stderr } = await ended;
    expect(code).toBe(75);
    expect(stderr).toMatch(/^holdfast: the lease of 800 ms on .* ran out before it was renewed\n$/);
    expect((await inspect('x', { lockPath })).state).toBe('free');
  },
);

test('holdfast run -c gives a line to the shell', async () => {
  const { code, stdout } = await holdfast('run', lockFile(), '-c', 'echo one && exit 3').ended;
  expect({ code, stdout: stdout.trim() }).toEqual({ code: 3, stdout: 'one' });
});

test.each([[], ['--inherit']])('holdfast run %s refuses a folder', async (...flags) => {
  const folder = temporaryFolder();
  const { code, stdout, stderr } = await holdfast('run', ...flags, folder, ...waits).ended;
  expect({ code, stdout }).toEqual({ code: process.platform === 'win32' ? code : 66, stdout: '' });
  expect(stderr).toMatch(/^holdfast: [^\n]+\n$/);
});

needs('mkfifo')('holdfast run refuses links and FIFOs, and does not hang at them', async () => {
  const [link, fifo] = [lockFile(), lockFile()];
  const target = lockFile();
  writeFileSync(target, '');
  symlinkSync(target, link);
  await start('mkfifo', [fifo]).ended;
  for (const flags of [[], ['--inherit']]) {
    for (const file of [link, fifo]) {
      const { code, stdout } = await holdfast('run', ...flags, file, ...waits).ended;
      expect({ code, stdout }).toEqual({ code: 66, stdout: '' });
    }
  }
  expect(readFileSync(target, 'utf8')).toBe('');
});

test('holdfast run without a grant runs nothing', async () => {
  const lockPath = lockFile();
  const fd = openSync(lockPath, 'a');
  flock(fd, 'exclusive');
  const trace = join(temporaryFolder(), 'ran');
  const touch = node(`require("fs").writeFileSync(${JSON.stringify(trace)}, "")`);
  expect((await holdfast('run', '-n', '-q', lockPath, ...touch).ended).code).toBe(1);
  expect(existsSync(trace)).toBe(false);
  closeSync(fd);
});
