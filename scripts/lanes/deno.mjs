// The same tests in Deno, which has Node-API and most of Node's modules.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { npmPackages } from './cache.mjs';
import { lane } from './report.mjs';
import { stage, stageFolder, vitest } from './stage.mjs';

const scripts = 'a program that is given by -e cannot be a module in Deno';
const clock = 'process.hrtime() starts anew in each process of Deno: holds cannot be compared';
const shell = 'Deno starts the program of the package with flags that these tests do not expect';
const context = 'a scope without a function of its own does not reach what runs later in Deno';

/** Files and tests that Deno 2.9 cannot pass, with what was seen. */
const without = {};
const lacking = {};

await lane('deno', async () => {
  const modules = await npmPackages('@deno/linux-x64-glibc@2.9.6');
  const deno = join(modules, '@deno/linux-x64-glibc/deno');
  chmodSync(deno, 0o755);
  const folder = await stage(stageFolder('deno'), { binary: 'linux-x64.glibc' });
  return vitest(folder, [deno, 'run', '-A'], { lacking, minutes: 14, without });
});
