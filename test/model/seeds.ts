const { HOLDFAST_MODEL_SEED: first = '1', HOLDFAST_MODEL_SEEDS: count } = process.env;

/** The seeds of a run: so many, from 1 on, unless `HOLDFAST_MODEL_SEEDS` and `HOLDFAST_MODEL_SEED` say others. */
export function seeds(usually: number): number[] {
  return Array.from({ length: Number(count ?? usually) }, (_, index) => Number(first) + index);
}
