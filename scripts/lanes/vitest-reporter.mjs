// Writes the results of a Vitest run, with the reasons of what was skipped, to HOLDFAST_REPORT: after
// each file, so that a run that is ended from outside has said what it was at.
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import process from 'node:process';

const noReason = 'it needs what is not there; the output of the run says what';

/** Adds what a file's tests came to. */
function add(results, module) {
  const file = module.relativeModuleId;
  for (const test of module.children.allTests()) {
    const name = `${file} > ${test.fullName}`;
    const { errors = [], note, state } = test.result();
    if (state === 'skipped') results.skipped.push({ name, reason: note ?? noReason });
    else results[state === 'passed' ? 'passed' : 'failed'].push(name);
    if (state === 'passed' && test.diagnostic()?.retryCount > 0) {
      results.retried.push(`${name}: ${errors[0]?.message}`);
    }
  }
  // A file that could not be imported has no tests to fail.
  if (module.errors().length > 0) results.failed.push(`${file} did not run`);
}

/**
 * Adds what was thrown where no test waited for it. In a file of which a test passed only when tried again,
 * that is what its first attempt has left behind.
 */
function addOutside(results, { message, VITEST_TEST_PATH: path }) {
  const file = relative('.', path ?? '').replaceAll('\\', '/');
  const isLeft = results.retried.some((name) => name.startsWith(`${file} > `));
  results[isLeft ? 'retried' : 'failed'].push(`${file} > outside of a test: ${message}`);
}

const nothing = () => ({ passed: [], failed: [], retried: [], skipped: [] });

const write = (results) => writeFileSync(process.env.HOLDFAST_REPORT, JSON.stringify(results));

// biome-ignore lint/style/noDefaultExport: Vitest takes a reporter from the default export
export default class LaneReporter {
  #ended = nothing();
  #pending = new Set();

  onTestRunStart(specifications) {
    for (const { moduleId } of specifications) this.#pending.add(moduleId);
    this.#write('its start');
  }

  // Written each time, so that whoever watches the file sees that the run goes on, and up to where.
  onTestCaseReady(test) {
    this.#write(`the begin of "${test.fullName}"`);
  }

  onTestCaseResult(test) {
    this.#write(`the end of "${test.fullName}"`);
  }

  onTestModuleEnd(module) {
    add(this.#ended, module);
    this.#pending.delete(module.moduleId);
    this.#write(`the end of ${module.relativeModuleId}`);
  }

  #write(at) {
    const unfinished = [...this.#pending].map((id) => relative('.', id).replaceAll('\\', '/'));
    write({ ...this.#ended, at, unfinished });
  }

  onTestRunEnd(modules, errors) {
    const results = nothing();
    for (const module of modules) add(results, module);
    for (const error of errors) addOutside(results, error);
    write(results);
  }
}
