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
const without = {};
const lacking = {};

await lane('bun', async () => {
  const bun = join(await npmPackages('@oven/bun-linux-x64@1.4.5'), '@oven/bun-linux-x64/bin/bun');
  chmodSync(bun, 0o755);
  const folder = await stage(stageFolder('bun'), { binary: 'linux-x64.glibc' });
  return vitest(folder, [bun, '--bun'], { lacking, minutes: 14, without });
});
