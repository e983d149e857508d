// The same tests in Bun, which has Node-API and most of Node's modules.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { npmPackages } from './cache.mjs';
import { lane } from './report.mjs';
import { stage, stageFolder, vitest } from './stage.mjs';

const clock = 'process.hrtime() starts anew in each process of Bun: holds cannot be compared';
const faults = 'Bun does not load what LD_PRELOAD names for the programs that these tests start';
const threads = 'Bun starts threads of its own meanwhile';

/** Files and tests that Bun 1.4 cannot pass, with what was seen. */
const without = {
  'test/faults.test.ts': faults,
  'test/guard-process.test.ts': 'Bun ends after an unhandled rejection in a way of its own',
  'test/many-writers.test.ts': clock,
  'test/network-file-system.test.ts': faults,
  'test/record-failure.test.ts': faults,
  'test/replaced-file.test.ts': clock,
  'test/soak.test.ts': clock,
  'test/worker-termination.test.ts': 'Bun takes longer to end a worker than this test allows',
};
const lacking = {
  'a hundred waits that were given up leave one thread behind': threads,
  'any number of leases cost one thread, which ends after the last of them': threads,
  'a process that ends by running out of memory frees its lock':
    'Bun has no limit of memory to run into',
  'holdfast run passes arguments as they are, with or without the two dashes':
    'Bun takes the two dashes for its own',
};

await lane('bun', async () => {
  const bun = join(await npmPackages('@oven/bun-linux-x64@1.4.5'), '@oven/bun-linux-x64/bin/bun');
  chmodSync(bun, 0o755);
  const folder = await stage(stageFolder('bun'), { binary: 'linux-x64.glibc' });
  return vitest(folder, [bun, '--bun'], { lacking, minutes: 6, without });
});
