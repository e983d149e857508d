/** By how much limits of time are stretched: qemu and Wine are slower by this. */
export const slowness = Number(process.env['HOLDFAST_TEST_SLOWNESS'] ?? 1);

/** How often a slow system does what others do this often. */
export const rounds = (often: number) => Math.ceil(often / slowness);
