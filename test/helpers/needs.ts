import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { test } from 'vitest';
import { faultsWork } from './faults.js';

function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function rustMinor(): number {
  const { stdout } = spawnSync('rustc', ['--version'], { encoding: 'utf8' });
  return Number(/^rustc 1\.(\d+)\./.exec(stdout ?? '')?.[1] ?? 0);
}

// What a test needs is tried out, never guessed from the platform's name: the same files run on
// Windows, under Wine and qemu, and in containers that are short of this or that.
const probes = {
  'flock(1)': () => runs('flock', '--version'),
  Python: () => runs('python3', '-c', 'import fcntl'),
  Perl: () => runs('perl', '-e', 'use Fcntl ":flock"; LOCK_EX'),
  'Rust 1.89': () => rustMinor() >= 89,
  'a Java compiler': () => runs('javac', '-version'),
  cc: () => runs('cc', '--version'),
  'faults by LD_PRELOAD': faultsWork,
  '/proc': () => existsSync('/proc/self/task') && existsSync('/proc/locks'),
  npm: () => spawnSync('npm --version', { shell: true, stdio: 'ignore' }).status === 0,
  sh: () => runs('sh', '-c', 'ulimit -n'),
  root: () => process.getuid?.() === 0,
  'a user id that is not root': () => typeof process.getuid === 'function' && process.getuid() > 0,
  'the right to mount': () => runs('unshare', '-m', 'mount', '-t', 'tmpfs', 'none', '/mnt'),
  'POSIX signals': () => 'SIGSTOP' in constants.signals,
  'POSIX permissions': () => typeof process.umask === 'function' && process.getuid !== undefined,
  mkfifo: () => runs('mkfifo', '--version'),
  tmux: () => runs('tmux', '-V'),
  Linux: () => process.platform === 'linux',
  // test/smoke/lockfileex.c, which npm run test:windows compiles.
  'lockfileex.exe': () => existsSync(process.env['HOLDFAST_LOCKFILEEX'] ?? ''),
};

export type Need = keyof typeof probes;

const known = new Map<Need, boolean>();

function has(need: Need): boolean {
  let result = known.get(need);
  if (result === undefined) {
    result = probes[need]();
    known.set(need, result);
  }
  return result;
}

type Cases = readonly unknown[];

// The reason goes into the report of the run, where skipIf() would leave it out.
function skipping(reason: string) {
  const skipped = (name: string) => test(name, (context) => context.skip(reason));
  const each = (cases: Cases) => (name: string) =>
    test.for(cases)(name, (_, context) => context.skip(reason));
  return Object.assign(skipped, { each, for: each }) as unknown as typeof test;
}

/** `test` where everything that it needs is there, else one that is skipped, with its reason. */
export function needs(...what: Need[]): typeof test {
  const missing = what.filter((need) => !has(need));
  return missing.length === 0 ? test : skipping(`needs ${missing.join(' and ')}`);
}
