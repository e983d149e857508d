import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';
import { faultsWork } from './faults.js';

function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** What another process of this runtime prints. */
function printed(script: string, ...flags: string[]): string {
  return (
    spawnSync(process.execPath, [...flags, '-e', script], { encoding: 'utf8' }).stdout?.trim() ?? ''
  );
}

// Whether what hangs on a promise is announced when it is made, and again when it runs, so that an
// async context can be entered then.
const hooksOfPromises = `
  const { AsyncLocalStorage, createHook } = process.getBuiltinModule('node:async_hooks');
  const storage = new AsyncLocalStorage();
  const made = new Set();
  createHook({
    init: (id) => made.add(id),
    before: (id) => { if (made.has(id)) storage.enterWith('entered'); },
  }).enable();
  Promise.resolve().then(() => console.log(storage.getStore()));
`;

const contextOfErrors = `
  const { AsyncLocalStorage } = process.getBuiltinModule('node:async_hooks');
  const storage = new AsyncLocalStorage();
  const say = () => process.stdout.write(String(storage.getStore()));
  process.on('unhandledRejection', say).on('uncaughtExceptionMonitor', say);
  process.on('uncaughtException', () => {});
  storage.run('a', () => { Promise.reject(new Error('on purpose')); });
  storage.run('b', () => setTimeout(() => { throw new Error('on purpose'); }, 10));
`;

const moduleInContext = `
  const { createContext, SourceTextModule } = process.getBuiltinModule('node:vm');
  const context = createContext({ console });
  const module = new SourceTextModule('console.log("in a context")', { context });
  module.link(() => {}).then(() => module.evaluate());
`;

const refusalOfAddons = `
  try { process.dlopen({ exports: {} }, 'none.node'); } catch ({ code }) { console.log(code); }
`;

// Whether code that imports from such a module sees the change.
const patchedModules = `
  const fs = process.getBuiltinModule('node:fs');
  fs.existsSync = () => 'patched';
  process.getBuiltinModule('node:module').syncBuiltinESMExports();
  import('node:fs').then(({ existsSync }) => console.log(existsSync('.')));
`;

// Whether a process goes on after its debugger has ended what ran.
const termination = `
  const { Session } = process.getBuiltinModule('node:inspector');
  const session = new Session();
  session.connect();
  setTimeout(() => console.log('went on'), 100);
  process.getBuiltinModule('node:fs').stat('.', () => {
    // What is refused by throwing ends this function as well.
    try { session.post('Runtime.terminateExecution'); } catch { console.log('was refused'); }
    const end = performance.now() + 1_000;
    while (performance.now() < end);
    console.log('was not ended');
  });
`;

/** What an attempt in an empty folder shows; one that throws shows that it does not work. */
function shows(attempt: (folder: string) => boolean): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-needs-'));
  try {
    return attempt(folder);
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same with a file that is open meanwhile. */
function showsOfOpenFile(attempt: (file: string) => boolean): boolean {
  return shows((folder) => {
    const file = join(folder, 'open');
    const fd = openSync(file, 'w');
    try {
      return attempt(file);
    } finally {
      closeSync(fd);
    }
  });
}

function throws(attempt: () => void): boolean {
  try {
    attempt();
    return false;
  } catch {
    return true;
  }
}

function rustMinor(): number {
  const { stdout } = spawnSync('rustc', ['--version'], { encoding: 'utf8' });
  return Number(/^rustc 1\.(\d+)\./.exec(stdout ?? '')?.[1] ?? 0);
}

// What a test needs is tried out, never guessed from the platform's name: the same files run on
// Windows, under Wine and qemu, and in containers that are short of this or that.
const probes = {
  'flock(1)': () => runs('flock', '--version'),
  'prlimit(1)': () => runs('prlimit', '--version'),
  'strace(1)': () => runs('strace', '-o', '/dev/null', 'true'),
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
  // Deno panics there, and Bun does when it has something to run.
  'a runtime that starts without /proc': () =>
    runs('unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && "$0" -e 0', process.execPath),
  'POSIX signals': () => 'SIGSTOP' in constants.signals,
  'POSIX permissions': () => typeof process.umask === 'function' && process.getuid !== undefined,
  // Not for root, nor for Wine when root runs it.
  'files that are protected from writing': () =>
    shows((folder) => {
      const file = join(folder, 'protected');
      writeFileSync(file, '', { mode: 0o444 });
      return throws(() => closeSync(openSync(file, 'r+')));
    }),
  mkfifo: () => runs('mkfifo', '--version'),
  // Wine reports success and makes nothing.
  'symbolic links': () =>
    shows((folder) => {
      const link = join(folder, 'link');
      symlinkSync(folder, link, 'junction');
      return lstatSync(link).isSymbolicLink();
    }),
  'control characters in file names': () =>
    shows((folder) => {
      writeFileSync(join(folder, 'a\x1b'), '');
      return true;
    }),
  'open files that lose their name when they are deleted': () =>
    showsOfOpenFile((file) => {
      rmSync(file);
      return !existsSync(file);
    }),
  'open files that can be replaced': () =>
    showsOfOpenFile((file) => {
      writeFileSync(`${file}.new`, '');
      renameSync(`${file}.new`, file);
      return true;
    }),
  // Where it starts anew in each process, it shows the age of this one.
  'a clock that processes share': () =>
    Number(process.hrtime.bigint()) / 1e6 > performance.now() + 10_000,
  'async context where unhandled errors are handled': () => printed(contextOfErrors) === 'ab',
  'async hooks of promises': () => printed(hooksOfPromises) === 'entered',
  'modules in contexts': () =>
    printed(moduleInContext, '--experimental-vm-modules') === 'in a context',
  'a flag that refuses addons': () =>
    printed(refusalOfAddons, '--no-addons') === 'ERR_DLOPEN_DISABLED',
  'a debugger that ends what runs': () => printed(termination) === 'went on',
  'built-in modules that can be patched': () => printed(patchedModules) === 'patched',
  // src/json-store/temporary-file.ts tells why Windows has none.
  'folders that have to be synced': () => process.platform !== 'win32',
  tmux: () => runs('tmux', '-V'),
  Linux: () => process.platform === 'linux',
  Windows: () => process.platform === 'win32',
  // native/turnstile_none.cc tells why macOS has none.
  'a queue before the lock': () => ['linux', 'win32'].includes(process.platform),
  // scripts/lanes/network-file-systems.mjs has one: another mount of the folder for temporary files.
  'a second client of a file server': () =>
    existsSync(process.env['HOLDFAST_TEST_SECOND_CLIENT'] ?? ''),
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
