// Before Node 24 these are Node's own, and missing in the contexts of node:vm, in which test runners load
// modules. Compilers look for the others there.

/** The key under which `using` finds what to call. */
export const dispose: typeof Symbol.dispose =
  Symbol.dispose ?? (Symbol.for('Symbol.dispose') as typeof Symbol.dispose);

/** The key under which `await using` finds what to call. */
export const asyncDispose: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? (Symbol.for('Symbol.asyncDispose') as typeof Symbol.asyncDispose);
