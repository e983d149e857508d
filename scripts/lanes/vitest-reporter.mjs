// Writes the results of a Vitest run, with the reasons of what was skipped, to HOLDFAST_REPORT.
import { writeFileSync } from 'node:fs';
import process from 'node:process';

const noReason = 'it needs what is not there; the output of the run says what';

// biome-ignore lint/style/noDefaultExport: Vitest takes a reporter from the default export
export default class LaneReporter {
  onTestRunEnd(modules, errors) {
    const results = { passed: [], failed: [], retried: [], skipped: [] };
    for (const module of modules) {
      const file = module.relativeModuleId;
      for (const test of module.children.allTests()) {
        const name = `${file} > ${test.fullName}`;
        const { state, note } = test.result();
        if (state === 'skipped') results.skipped.push({ name, reason: note ?? noReason });
        else results[state === 'passed' ? 'passed' : 'failed'].push(name);
        if (state === 'passed' && test.diagnostic()?.retryCount > 0) results.retried.push(name);
      }
      // A file that could not be imported has no tests to fail.
      if (module.errors().length > 0) results.failed.push(`${file} did not run`);
    }
    results.failed.push(...errors.map(({ message }) => `outside of a test: ${message}`));
    writeFileSync(process.env.HOLDFAST_REPORT, JSON.stringify(results));
  }
}
