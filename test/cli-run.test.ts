import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { flock, inspect, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { untilBlocked } from './helpers/blocked.js';
import { holdfast, holdfastWith } from './helpers/cli.js';
import { lockFile, node, waits } from './helpers/cli-run.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

test('holdfast run creates the file, runs the command and frees the lock', async () => {
  const file = lockFile();
  const { code, stdout, stderr } = await holdfast('run', file, ...node('console.log("hi")')).ended;
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'hi\n', stderr: '' });
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ state: 'free' });
});

needs('POSIX permissions').each(['run', 'run --inherit'])(
  'holdfast %s creates the file for its user only',
  async (how) => {
    const file = lockFile();
    await holdfast(...how.split(' '), file, ...node('')).ended;
    expect(statSync(file).mode & 0o777).toBe(0o600);
  },
);

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

test('two dashes before FILE end the options', async () => {
  const cwd = temporaryFolder();
  const { code, stderr } = await holdfastWith({ cwd }, 'run', '--', '-n', ...node('')).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(existsSync(join(cwd, '-n'))).toBe(true);
});

test.each([
  ['that of the user', {}],
  ['sh where no SHELL is set', { SHELL: '' }],
])('holdfast run -c gives a line to the shell: %s', async (_, change) => {
  const options = { env: { ...process.env, ...change } };
  const run = holdfastWith(options, 'run', lockFile(), '-c', 'echo one && exit 3');
  const { code, stdout } = await run.ended;
  expect({ code, stdout: stdout.trim() }).toEqual({ code: 3, stdout: 'one' });
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

test.each([
  ['text', 'my data\n'],
  ['an image that begins with zeros', `${'\0'.repeat(1024)}data`],
])('holdfast run locks a file with %s and leaves it as it is', async (_, content) => {
  const file = lockFile();
  writeFileSync(file, content);
  const { child, printed, ended } = holdfast('run', file, ...waits);
  await printed('in');
  expect((await inspect('x', { lockPath: file })).state).toBe('exclusive');
  child.stdin?.end();
  expect(await ended).toMatchObject({ code: 0, stderr: '' });
  expect(readFileSync(file, 'utf8')).toBe(content);
});

needs('root').each(['run', 'run --inherit'])(
  'holdfast %s locks a file that may only be read, as flock(1) does',
  async (how) => {
    const folder = temporaryFolder('/tmp');
    chmodSync(folder, 0o755);
    const nobody = { uid: 65534, gid: 65534 };
    for (const content of ['', 'my data']) {
      const lockPath = join(folder, `lock${content}`);
      writeFileSync(lockPath, content, { mode: 0o444 });
      const held = tryLock('x', { lockPath, record: false });
      const run = holdfastWith(nobody, ...how.split(' '), lockPath, ...waits);
      await untilBlocked(lockPath, 1);
      held?.release();
      await run.printed('in');
      expect(tryLock('x', { lockPath, record: false })).toBeNull();
      run.child.stdin?.end();
      expect(await run.ended).toMatchObject({ code: 0, stderr: '' });
      expect(readFileSync(lockPath, 'utf8')).toBe(content);
    }
  },
);

const statFails = `
  const fs = process.getBuiltinModule('node:fs');
  fs.statSync = () => { throw Object.assign(new Error('EIO: on purpose'), { code: 'EIO' }); };
  process.getBuiltinModule('node:module').syncBuiltinESMExports();
`;

needs('built-in modules that can be patched', 'POSIX signals')(
  'holdfast run --inherit fails when it cannot tell which file it has locked',
  async () => {
    const preload = `--import=data:text/javascript,${encodeURIComponent(statFails)}`;
    const options = { env: { ...process.env, NODE_OPTIONS: preload } };
    const command = ['run', '--inherit', lockFile(), ...node('')];
    const { code, stderr } = await holdfastWith(options, ...command).ended;
    expect({ code, stderr }).toEqual({ code: 74, stderr: 'holdfast: EIO: on purpose\n' });
  },
);

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
