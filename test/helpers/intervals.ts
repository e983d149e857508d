/** When somebody held a lock, on the monotonic clock that all processes of a machine share. */
export interface Interval {
  readonly who: string;
  readonly from: bigint;
  readonly to: bigint;
}

/** Reads lines of `who from to`, as holders write them with `process.hrtime.bigint()`. */
export function parseIntervals(lines: string): Interval[] {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [who, from, to] = line.split(' ') as [string, string, string];
      return { who, from: BigInt(from), to: BigInt(to) };
    });
}

/** All pairs that held an exclusive lock at the same time. */
export function overlapping(intervals: readonly Interval[]): [Interval, Interval][] {
  const sorted = [...intervals].sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  const overlaps: [Interval, Interval][] = [];
  let latest: Interval | undefined;
  for (const interval of sorted) {
    if (latest !== undefined && interval.from < latest.to) overlaps.push([latest, interval]);
    if (latest === undefined || interval.to > latest.to) latest = interval;
  }
  return overlaps;
}
