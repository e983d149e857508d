/**
 * Counts the pairs of neighbouring holders whose times overlap: each is a moment at which a lock had two holders.
 * The times lie inside the real ones (after the grant, before the release), so what overlaps here overlapped.
 * @param {{ granted: number, released: number }[]} holds
 */
export function countOverlaps(holds) {
  const sorted = [...holds].sort((a, b) => a.granted - b.granted);
  let overlaps = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const { granted, released } of sorted) {
    if (granted < until) overlaps++;
    until = Math.max(until, released);
  }
  return overlaps;
}
