// A copy of the package as a user has it, for another platform or runtime, with the tests beside it.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { targets } from '../prebuild/targets.mjs';
import { cache, cached, digest } from './cache.mjs';
import { continued, readRun, settled } from './report.mjs';
import { run } from './run.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));
process.chdir(root);

const copied = [
  'demo',
  'dist',
  'docs',
  'native',
  'src',
  'test',
  'package.json',
  'README.md',
  'vitest.config.ts',
];

// Files that test what a lane does not change, each with the reason why npm test is enough.
const elsewhere = {
  'test/examples.test.ts': 'it compiles the documentation',
  'test/sanitizers.test.ts': "it runs what this machine's compiler makes",
};

/** Builds a shipped binary unless it is newer than its sources. */
export async function binaryFor(name) {
  const target = targets.find((candidate) => candidate.name === name);
  const sources = ['native', 'scripts/prebuild'].flatMap((folder) =>
    readdirSync(folder).map((file) => statSync(join(folder, file)).mtimeMs),
  );
  const built = existsSync(target.file) && statSync(target.file).mtimeMs > Math.max(...sources);
  if (!built) await run(process.execPath, ['scripts/prebuild-cross.mjs', name]);
  return target.file;
}

/** Dependencies as they are installed on another platform: `os`, `cpu` and `libc` as npm names them. */
export async function dependenciesFor(platform) {
  const lock = digest(readFileSync('package-lock.json'));
  const name = `modules-${Object.values(platform).join('-')}-${lock}`;
  const folder = await cached(name, async (prefix) => {
    for (const file of ['package.json', 'package-lock.json']) cpSync(file, join(prefix, file));
    const flags = Object.entries(platform).map(([key, value]) => `--${key}=${value}`);
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund'];
    await run('npm', ['ci', ...quiet, ...flags], { cwd: prefix, quiet: true });
  });
  return join(folder, 'node_modules');
}

/** Fills an empty folder with the package, one binary and its dependencies. */
export async function stage(folder, { binary, modules = join(root, 'node_modules') }) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const path of copied) cpSync(path, join(folder, path), { recursive: true });
  const file = await binaryFor(binary);
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  cpSync(file, join(folder, file));
  cpSync('scripts/lanes/vitest-reporter.mjs', join(folder, 'vitest-reporter.mjs'));
  symlinkSync(modules, join(folder, 'node_modules'));
  return folder;
}

/** Of this checkout alone: another one may be tested at the same time. */
export const stageFolder = (name) => join(cache, 'stage', digest(root), name);

/** A regular expression that matches this text alone. */
const literally = (text) => text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');

/**
 * Runs the test suite of a staged package with the program that `node` names, and its arguments.
 * `lacking` has the names of tests, and `without` the files, that the system cannot pass, each with
 * the reason; `files` are all unless they are named. Where the system itself may break, `system` may have
 * `begin()`, which is called before each run and answers a signal for when it breaks, and has `minutes`
 * after which it hangs if no test has begun or ended: what did not end then runs again, `again` times.
 */
export async function vitest(folder, node, options = {}) {
  const { env, files = [], flags = [], lacking = {} } = options;
  const { minutes = 18, slowness = 1, stdio, system } = options;
  const left = { ...elsewhere, ...options.without };
  const [command, ...args] = node;
  const without = Object.keys(left).map((file) => `--exclude=${file}`);
  const leftOut = Object.keys(lacking).map(literally).join('|');
  if (leftOut !== '') without.push(`--testNamePattern=^(?!.*(${leftOut}))`);
  const suite = ['node_modules/vitest/vitest.mjs', 'run', ...flags, ...without];
  const reporters = ['--reporter=default', '--reporter=./vitest-reporter.mjs'];
  const own = {
    HOLDFAST_REPORT: 'report.json',
    HOLDFAST_TEST_SLOWNESS: String(slowness),
  };
  const report = join(folder, 'report.json');
  const began = performance.now();
  const runFiles = async (names) => {
    rmSync(report, { force: true });
    await run(command, [...args, ...suite, ...names, ...process.argv.slice(2), ...reporters], {
      cwd: folder,
      env: { ...own, ...env },
      mayFail: true,
      minutes: minutes - (performance.now() - began) / 60_000,
      progress: system && { file: report, minutes: system.minutes },
      signal: await system?.begin?.(),
      stdio,
    });
    return readRun(report, 'vitest');
  };
  let whole = await runFiles(files);
  for (let left = system?.again ?? 0; left > 0 && whole.unfinished.length > 0; left -= 1)
    whole = continued(whole, await runFiles(whole.unfinished));
  const results = settled(whole);
  for (const test of results.skipped) {
    const known = Object.keys(lacking).find((name) => test.name.endsWith(name));
    if (known !== undefined) test.reason = lacking[known];
  }
  for (const [name, reason] of Object.entries(left)) results.skipped.push({ name, reason });
  return results;
}
