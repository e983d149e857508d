import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect, lock, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { untilBlocked } from './helpers/blocked.js';
import { holdfast, holdfastWith, Terminal } from './helpers/cli.js';
import { lockFile, node, waits } from './helpers/cli-run.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { slowness } from './helpers/slowness.js';

needs('POSIX signals')('holdfast run passes signals on and waits for the command', async () => {
  const handler = (signal: string) =>
    node(
      `process.on("${signal}", () => process.exit(42)); console.log("in"); setInterval(() => {}, 1e6)`,
    );
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
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

needs('root', 'Perl')('a command that became another user runs on, under its lock', async () => {
  const folder = temporaryFolder('/tmp');
  chmodSync(folder, 0o777);
  const perl = join(folder, 'perl');
  copyFileSync(execFileSync('perl', ['-e', 'print $^X'], { encoding: 'utf8' }), perl);
  chmodSync(perl, 0o4755);
  const lockPath = join(folder, 'lock');
  const command = ['--', perl, '-e', '$< = 0; $| = 1; print "$$\\n"; sleep 1000'];
  const run = holdfastWith({ uid: 65534, gid: 65534 }, 'run', lockPath, ...command);
  const [pid] = await once(run.child.stdout as NodeJS.ReadableStream, 'data');
  run.child.kill('SIGTERM');
  const [complaint] = await once(run.child.stderr as NodeJS.ReadableStream, 'data');
  expect(complaint).toMatch(/^holdfast: [^\n]*EPERM[^\n]*\n$/);
  expect(tryLock('x', { lockPath, record: false })).toBeNull();
  process.kill(Number(pid), 'SIGKILL');
  expect((await run.ended).code).toBe(137);
});

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

// What holdfast passes on comes in the order in which holdfast got it: each SIGINT before the SIGUSR2 that it
// is asked for after it. That two of a kind may come as one is why there are several.
const countsInterrupts = `
  const { writeFileSync } = require('node:fs');
  let count = 0;
  process.on('SIGINT', () => {
    count += 1;
    process.kill(process.ppid, 'SIGUSR2');
  });
  process.on('SIGUSR2', () => writeFileSync('count', String(count)));
  writeFileSync('count', '0');
  setInterval(() => {}, 1e6);
`;

needs('tmux', 'POSIX signals').each([
  ['input', '>out 2>&1'],
  ['output', '</dev/null 2>out'],
  ['error output', '</dev/null >out'],
])('nor more often where only its standard %s is the terminal', async (_, redirections) => {
  const folder = temporaryFolder();
  const file = join(folder, 'count');
  writeFileSync(join(folder, 'count.js'), countsInterrupts);
  const count = () => (existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : -1);
  const terminal = new Terminal(folder);
  terminal.runRedirected(redirections, 'run', 'lock', '--', process.execPath, 'count.js');
  while (!(count() >= 0)) await sleep(5);
  for (let presses = 1; presses <= 10; presses += 1) {
    terminal.press('C-c');
    while (!(count() >= presses)) await sleep(5);
    expect(count()).toBe(presses);
  }
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

test('a lease of months is no reason for a warning', async () => {
  const lockPath = lockFile();
  const { code, stderr } = await holdfast('run', '-l', '9999999', lockPath, ...node('')).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

needs('POSIX signals')(
  'a lease is renewed while holdfast run lives, and lost when it hangs',
  async () => {
    const lockPath = lockFile();
    // More than two leases: only renewals keep it.
    const lease = 800 * slowness;
    const later = `setTimeout(() => console.log("in"), ${2.5 * lease}); process.stdin.resume()`;
    const run = holdfast('run', '-l', String(lease / 1_000), lockPath, ...node(later));
    const { child, printed, ended } = run;
    await printed('in');
    const { state, holder } = await inspect('x', { lockPath });
    expect({ state, lease: holder?.lease }).toEqual({ state: 'exclusive', lease });
    // Stopped for longer than the lease. When it goes on, its renewal may still come before its
    // watchdog: then nothing was lost, and it is stopped again.
    while (child.exitCode === null) {
      child.kill('SIGSTOP');
      await sleep(1.25 * lease);
      child.kill('SIGCONT');
      await Promise.race([ended, sleep(200)]);
    }
    const { code, stderr } = await ended;
    expect(code).toBe(75);
    expect(stderr).toMatch(
      new RegExp(`^holdfast: the lease of ${lease} ms on .* ran out before it was renewed\n$`),
    );
    expect((await inspect('x', { lockPath })).state).toBe('free');
  },
);
