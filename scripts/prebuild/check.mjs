// What stands between half a package and a registry: all binaries are there, and keep their promises.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { pythonPackages } from '../lanes/cache.mjs';
import { run } from '../lanes/run.mjs';
import { targets } from './targets.mjs';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));

const files = targets.map(({ file }) => file);
const missing = files.filter((file) => !existsSync(file));
for (const file of missing) console.error(`${file} is missing: there is no package without it`);
if (missing.length > 0) {
  process.exitCode = 1;
} else {
  const env = await pythonPackages('lief==1.0.0');
  // npm hides what goes to the standard output of this script when asked for JSON.
  const { code, output } = await run('python3', ['scripts/prebuild/inspect.py', ...files], {
    env,
    quiet: true,
    mayFail: true,
  });
  process.stderr.write(output);
  process.exitCode = code;
}
