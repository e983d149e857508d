// Everything that has to hold, as CI runs it: npm run test:all
// The checks, the README's test command, the demo, the sanitizers and every lane, some at a time.
// Says at the end what ran, what was skipped and why; the last line is for whoever counts.
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { buildTools, headersEnvironment } from './build-tools.mjs';
import { readRun, reports, settled } from './report.mjs';
import { run } from './run.mjs';
import { root } from './stage.mjs';
import { summarize } from './summary.mjs';

// On two cores: most tests wait for others rather than compute.
const atOnce = 3;
// What hangs fails at its own limit; all together end before this.
const mostMinutes = 45;

const logs = join(reports, 'logs');
const started = performance.now();
const secondsSince = (since) => Math.round((performance.now() - since) / 1000);

const reporters = ['--reporter=default', `--reporter=${root}scripts/lanes/vitest-reporter.mjs`];
// The files in which threads, workers and finalisers end in every way; the others exercise the same code.
const racing = [
  'exclusion',
  'lease',
  'lease-nesting',
  'leak',
  'leak-check',
  'nested-turns',
  'process-exit',
  'with-lock',
  'worker-termination',
].map((name) => `test/${name}.test.ts`);

const check = (name, minutes, ...command) => ({ name, minutes, command });
const suite = (name, minutes, ...command) => ({
  ...check(name, minutes, ...command, ...reporters),
  env: { HOLDFAST_REPORT: join(reports, `${name}.json`) },
  reports: true,
});
const lane = (name, minutes) => ({
  ...check(name, minutes, process.execPath, `scripts/lanes/${name}.mjs`),
  reports: true,
});

// Each with several times the minutes that it took on a machine without caches. Only this one builds
// here: the others, which run beside each other, all test what it made.
const build = check('build', 5, 'npm', 'run', 'build', '--ignore-scripts');
// Makes the binaries that the lanes below test; each of those would make its own otherwise.
const cross = lane('cross', 20);
const free = [
  suite('npm-test', 20, 'npm', 'test', '--ignore-scripts', '--'),
  suite('asan', 20, process.execPath, 'scripts/test-asan.mjs', ...racing),
  lane('actions', 10),
  check('lint', 5, 'npm', 'run', 'lint'),
  check('demo', 5, 'npm', 'run', 'demo', '--ignore-scripts'),
];
// The longest first.
const afterCross = [
  lane('windows', 25),
  lane('musl', 25),
  lane('node-majors', 25),
  lane('arm64', 20),
  lane('file-systems', 20),
  lane('network-file-systems', 25),
  lane('package', 15),
  lane('bun', 15),
  lane('deno', 15),
];

/** The end of what a step printed, but for its results, which are in the summary. */
function endOf(log, name) {
  const lines = readFileSync(log, 'utf8').split('\n');
  return lines
    .filter((line) => !line.startsWith(`${name}: `))
    .slice(-60)
    .join('\n');
}

/** Runs a step to its end and says how it went. */
async function perform({ name, minutes, command: [program, ...args], env, reports: hasReport }) {
  const began = performance.now();
  const left = mostMinutes - (began - started) / 60_000;
  const log = join(logs, `${name}.log`);
  const output = openSync(log, 'w');
  const { code } = await run(program, args, {
    env,
    stdio: ['ignore', output, output],
    minutes: Math.max(0, Math.min(minutes, left)),
    mayFail: true,
  });
  closeSync(output);
  const results = hasReport ? settled(readRun(join(reports, `${name}.json`), name)) : undefined;
  const outcome = { name, seconds: secondsSince(began), ended: code === 0, results };
  console.log(`${name}: ${code === 0 ? 'done' : 'failed'} after ${outcome.seconds} s`);
  if (code !== 0) console.log(endOf(log, name));
  return outcome;
}

rmSync(reports, { recursive: true, force: true });
mkdirSync(logs, { recursive: true });
await buildTools();
Object.assign(process.env, await headersEnvironment());
const outcomes = [await perform(build)];
if (outcomes[0].ended) {
  const crossed = perform(cross).then((outcome) => outcomes.push(outcome));
  const queue = [...free, ...afterCross];
  const next = async () => {
    for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
      if (afterCross.includes(step)) await crossed;
      outcomes.push(await perform(step));
    }
  };
  const others = Array.from({ length: atOnce - 1 }, next);
  await Promise.all([crossed.then(next), ...others]);
}
const seconds = secondsSince(started);
console.log(`\nall of it took ${Math.floor(seconds / 60)} min ${seconds % 60} s`);
process.exitCode = summarize(outcomes) ? 0 : 1;
