/**
 * @param {ArrayLike<number>} values
 * @param {number} q  0 to 1
 */
export function quantile(values, q) {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

/** @param {ArrayLike<number>} values */
export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Median, least and greatest of each metric over the rounds. Yes-or-no metrics keep the worse answer's name: a lock
 * that failed to exclude once does not exclude.
 * @param {Record<string, number | string | null>[]} rounds
 */
export function summarize(rounds) {
  const summary = {};
  for (const key of new Set(rounds.flatMap(Object.keys))) {
    const values = rounds
      .map((round) => round[key])
      .filter((value) => value !== null && value !== undefined);
    if (values.length === 0) continue;
    summary[key] = values.every((value) => typeof value === 'number')
      ? { median: median(values), min: Math.min(...values), max: Math.max(...values) }
      : { text: [...new Set(values.map(String))].join(', ') };
  }
  return summary;
}
