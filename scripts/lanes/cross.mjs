// Compiles and links every shipped binary with warnings as errors, and checks what each promises.
import process from 'node:process';
import { targets } from '../prebuild/targets.mjs';
import { lane } from './report.mjs';
import { run } from './run.mjs';

// No system for these can be run on a Linux machine of another processor.
const notRun = ['darwin-x64', 'darwin-arm64', 'win32-arm64'];

await lane('cross', async () => {
  const results = { passed: [], failed: [], skipped: [] };
  const queue = targets.map(({ name }) => name);
  const next = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const title = `${name} compiles, links and is as promised`;
      try {
        await run(process.execPath, ['scripts/prebuild-cross.mjs', name]);
        results.passed.push(title);
      } catch (error) {
        console.error(error.message);
        results.failed.push(title);
      }
    }
  };
  // Two at a time: the compiler uses one core for each most of the time.
  await Promise.all([next(), next()]);
  for (const name of notRun) {
    results.skipped.push({ name: `${name} runs`, reason: 'there is no such system here' });
  }
  return results;
});
