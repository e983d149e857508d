import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// qemu and Wine are slower by this much; only limits are stretched, nothing waits for them.
const slowness = Number(process.env['HOLDFAST_TEST_SLOWNESS'] ?? 1);

// What takes so long hangs. Where others share the machine, it may have been asleep for a while.
const hangs = (process.env['CI'] === undefined ? 20_000 : 60_000) * slowness;

function built(file: string): string {
  return fileURLToPath(new URL(`./dist/${file}`, import.meta.url));
}

export default defineConfig({
  resolve: {
    // The tests import what users import: the built package.
    alias: {
      'holdfast/json-store': built('json-store/index.js'),
      'holdfast/session-lock': built('session-lock/index.js'),
      holdfast: built('index.js'),
    },
  },
  test: {
    include: ['test/**/*.test.ts'],
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: hangs,
    hookTimeout: hangs,
    // Limits of time are tested too, and on a shared machine a core may be away for a while. What
    // fails twice is wrong; what fails once is in the output of the run.
    retry: process.env['CI'] === undefined ? 0 : 1,
    pool: 'forks',
    // flock(1) and `holdfast run` have a line run by the user's shell. bash reads the user's own start-up file when
    // its input is a socket, as it is from Node, and that file may do anything.
    env: { SHELL: '/bin/sh' },
  },
});
