// Sums up the reports that the runners wrote, and fails when one of them failed or is missing.
// node .ci/sum.mjs --lanes          the lanes that have to run, a line each
// node .ci/sum.mjs [FAILED STEP]    what they reported; the last line is for whoever counts
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

// `npm run test:<lane>` writes reports/<lane>.json. Those of emulated and other runtimes (windows, musl,
// bun, deno, node-majors, arm64) take longer together than this may, and are run by hand so far.
const lanes = ['cross', 'package', 'actions'];
const suites = ['npm-test', 'asan'];
const reports = process.env.HOLDFAST_REPORTS ?? 'reports';

function sumUp(failedSteps) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  const reasons = new Map();
  for (const name of [...suites, ...lanes]) {
    const file = join(reports, `${name}.json`);
    if (!existsSync(file)) {
      console.log(`${name}: did not run`);
      total.failed += 1;
      continue;
    }
    const { passed, failed, skipped } = JSON.parse(readFileSync(file, 'utf8'));
    console.log(
      `${name}: ${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`,
    );
    for (const test of failed) console.log(`  failed: ${test}`);
    for (const { reason } of skipped) {
      const key = `${name}: ${reason}`;
      reasons.set(key, (reasons.get(key) ?? 0) + 1);
    }
    total.passed += passed.length;
    total.failed += failed.length;
    total.skipped += skipped.length;
    if (passed.length === 0) {
      console.log(`${name}: no test ran`);
      total.failed += 1;
    }
  }
  console.log('\nskipped, and why:');
  for (const [reason, count] of reasons) console.log(`  ${count} x ${reason}`);
  // A step without tests of its own that failed: lint, the demo, or a runner after its report.
  total.failed += total.failed === 0 ? failedSteps.length : 0;
  process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
}

if (process.argv[2] === '--lanes') console.log(lanes.join('\n'));
else sumUp(process.argv.slice(2));
