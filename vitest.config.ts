import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// qemu and Wine are slower by this much; only limits are stretched, nothing waits for them.
const slowness = Number(process.env['HOLDFAST_TEST_SLOWNESS'] ?? 1);

export default defineConfig({
  resolve: {
    // The tests import what users import: the built package.
    alias: { holdfast: fileURLToPath(new URL('./dist/index.js', import.meta.url)) },
  },
  test: {
    include: ['test/**/*.test.ts'],
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 20_000 * slowness,
    hookTimeout: 20_000 * slowness,
    pool: 'forks',
  },
});
