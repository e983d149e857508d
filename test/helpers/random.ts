/** A small generator of its own (mulberry32), so that a failure can be had again by its seed. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Another one in each run, unless `HOLDFAST_FUZZ_SEED` says which. */
export function randomSeed(): number {
  return Number(process.env['HOLDFAST_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
}
