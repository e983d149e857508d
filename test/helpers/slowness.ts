/** By how much limits of time are stretched: qemu and Wine are slower by this. */
export const slowness = Number(process.env['HOLDFAST_TEST_SLOWNESS'] ?? 1);

/** How often a slow system does what others do this often. */
export const rounds = (often: number) => Math.ceil(often / slowness);

/** Longer than any wait here takes that ends at all, in ms. */
export const patience = 15_000 * slowness;

/**
 * The least time that something takes, in ms: what a busy machine adds is not its own. Tried again
 * only while that is beyond the limit.
 */
export async function atBest(limit: number, measure: () => Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 3 && least >= limit; tries += 1) {
    least = Math.min(least, await measure());
  }
  return least;
}
