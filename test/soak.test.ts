import { expect, test } from 'vitest';
import { needs } from './helpers/needs.js';
import { slowness } from './helpers/slowness.js';
// @ts-expect-error the soak is plain JavaScript, so that `npm run soak` needs no build of its own
import { soak } from './soak/soak.mjs';
// @ts-expect-error as above
import { findOverlaps } from './soak/verify.mjs';

// Threads and descriptors are counted there.
needs('/proc', 'a clock that processes share', 'POSIX signals')(
  'careless, killed and blocked processes never hold one lock together, and keep nothing',
  { timeout: 120_000 * slowness },
  async () => {
    const { holds, kills, problems } = await soak({ seconds: 4, seed: Date.now() % 100_000 });
    // With all of it: who sums up the lanes has nothing but the message.
    const said = problems.join('\n');
    expect(said, said).toBe('');
    expect(holds).toBeGreaterThan(20);
    expect(kills).toBeGreaterThan(0);
  },
);

const hold = (token: bigint, from: bigint, to: bigint, mode = 'exclusive') => ({
  resource: 'r',
  token,
  mode,
  from,
  to,
  fate: 'kept',
  pid: 1,
});

test('the verifier of the soak sees who held a lock together, and tokens that do not grow', () => {
  const good = [hold(1n, 10n, 20n), hold(1n, 21n, 25n, 'shared'), hold(2n, 30n, 30n)];
  expect(findOverlaps([...good, hold(3n, 40n, 50n)])).toEqual([]);
  expect(findOverlaps([...good, hold(3n, 30n, 50n)])).toHaveLength(1);
  expect(findOverlaps([...good, hold(2n, 40n, 50n)])).toHaveLength(1);
  expect(findOverlaps([...good, hold(0n, 40n, 50n)])).toHaveLength(1);
  expect(findOverlaps([...good, hold(2n, 29n, 31n, 'shared')])).toHaveLength(1);
});
