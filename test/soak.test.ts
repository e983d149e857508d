import { expect, test } from 'vitest';
import { needs } from './helpers/needs.js';
// @ts-expect-error the soak is plain JavaScript, so that `npm run soak` needs no build of its own
import { findOverlaps, soak } from './soak/soak.mjs';

// Threads and descriptors are counted there.
needs('/proc', 'a clock that processes share')(
  'careless, killed and blocked processes never hold one lock together',
  { timeout: 120_000 },
  async () => {
    const { holds, kills, problems, reports } = await soak({
      seconds: 4,
      seed: Date.now() % 100_000,
    });
    expect(problems).toEqual([]);
    expect(holds).toBeGreaterThan(20);
    expect(kills).toBeGreaterThan(0);
    const [{ before, after, held }] = reports;
    expect(held).toBe(0);
    expect(after.threads).toBeLessThanOrEqual(before.threads);
    expect(after.files.length, `${before.files}, then ${after.files}`).toBeLessThanOrEqual(
      before.files.length,
    );
    expect(after.memory - before.memory).toBeLessThan(48 * 2 ** 20);
  },
);

test('the verifier of the soak sees two holders at a time, and one token twice', () => {
  const hold = (token: bigint, entered: bigint[], left: bigint | null) => ({
    resource: 'r',
    token,
    entered,
    left,
  });
  expect(findOverlaps([hold(1n, [10n], 20n), hold(2n, [30n], null), hold(3n, [40n], 50n)])).toEqual(
    [],
  );
  expect(findOverlaps([hold(1n, [10n], 20n), hold(2n, [15n], 30n)])).toHaveLength(1);
  expect(findOverlaps([hold(1n, [10n, 12n], 20n)])).toHaveLength(1);
});
