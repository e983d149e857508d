// What every lane says at its end, and writes down for whoever sums up:
// { lane, seconds, passed: [name], failed: [name], retried: [name], skipped: [{ name, reason }] }
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';

/** Where reports go: a folder of the checkout that is not committed. */
export const reports = resolve(process.env.HOLDFAST_REPORTS ?? 'reports');

const nothing = () => ({ passed: [], failed: [], retried: [], skipped: [] });
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

/**
 * What the reporter inside a test run has written, `unfinished` the files that did not end and `at`
 * what it was at; a run that wrote nothing has failed.
 */
export function readRun(file, runner) {
  if (existsSync(file)) return { ...nothing(), unfinished: [], ...readJson(file) };
  return { ...nothing(), failed: [`${runner} ended without a report`], unfinished: [] };
}

/** Two runs as one, of which the second went on with what the first did not end. */
export function continued(first, second) {
  const hung = first.unfinished.map((file) => `${file}: a run hung after ${first.at}`);
  const sum = { at: second.at, unfinished: second.unfinished };
  for (const kind of ['passed', 'failed', 'retried', 'skipped'])
    sum[kind] = [...first[kind], ...second[kind]];
  sum.retried.push(...hung);
  return sum;
}

/** The results of a run in which what did not end has failed. */
export function settled({ at, unfinished, ...results }) {
  const failed = unfinished.map((file) => `${file} did not end: the run ended after ${at}`);
  return { ...results, failed: [...results.failed, ...failed] };
}

/** Several results as one, each name with the run that it is from. */
export function combined(results) {
  const sum = nothing();
  for (const [from, { skipped, ...names }] of Object.entries(results)) {
    for (const kind of ['passed', 'failed', 'retried']) {
      sum[kind].push(...names[kind].map((name) => `${from}: ${name}`));
    }
    sum.skipped.push(...skipped.map(({ name, reason }) => ({ name: `${from}: ${name}`, reason })));
  }
  return sum;
}

function writeReport(lane, started, { passed, failed, retried = [], skipped }) {
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  mkdirSync(reports, { recursive: true });
  const report = { lane, seconds, passed, failed, retried, skipped };
  writeFileSync(join(reports, `${lane}.json`), `${JSON.stringify(report, null, 2)}\n`);
  for (const name of failed) console.log(`${lane}: failed: ${name}`);
  for (const name of retried) console.log(`${lane}: passed only when tried again: ${name}`);
  for (const { name, reason } of skipped) console.log(`${lane}: skipped: ${name} (${reason})`);
  const counts = `${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`;
  console.log(`${lane}: ${counts}, ${seconds} s`);
  if (failed.length > 0 || passed.length === 0) process.exitCode = 1;
}

/** Runs a lane; one that cannot be set up has failed, it was not skipped. */
export async function lane(name, body) {
  const started = performance.now();
  try {
    writeReport(name, started, await body());
  } catch (error) {
    writeReport(name, started, { ...nothing(), failed: [`did not run: ${error.message}`] });
  }
}
