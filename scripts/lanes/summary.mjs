// What the steps of a run amount to, from the reports of their own runners.

const countsOf = ({ passed, failed, skipped }) =>
  `${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`;

/** What went wrong in a step, by name. */
function failuresOf({ ended, name, results }) {
  const failed = results?.failed ?? [];
  if (!ended && failed.length === 0) return [`${name} itself`];
  if (results !== undefined && results.passed.length === 0)
    return [...failed, `${name} ran no test`];
  return failed;
}

/** Prints a line for each step, then what was skipped and why; answers whether all is well. */
export function summarize(outcomes) {
  const total = { passed: [], failed: [], skipped: [] };
  const reasons = new Map();
  for (const outcome of outcomes) {
    const { name, results, seconds } = outcome;
    const failed = failuresOf(outcome);
    const counts = results === undefined ? '' : `: ${countsOf(results)}`;
    console.log(`${name}${counts}, ${seconds} s`);
    for (const test of failed) console.log(`  failed: ${test}`);
    for (const test of results?.retried ?? [])
      console.log(`  passed only when tried again: ${test}`);
    for (const { reason } of results?.skipped ?? []) {
      const key = `${name}: ${reason}`;
      reasons.set(key, (reasons.get(key) ?? 0) + 1);
    }
    total.passed.push(...(results?.passed ?? []));
    total.failed.push(...failed);
    total.skipped.push(...(results?.skipped ?? []));
  }
  console.log('\nskipped, and why:');
  for (const [reason, count] of reasons) console.log(`  ${count} x ${reason}`);
  console.log(countsOf(total));
  return total.failed.length === 0 && total.passed.length > 0;
}
