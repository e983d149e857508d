// Builds the binary for the machine it runs on, under the name by which src/native.ts looks for it.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import process from 'node:process';
import { nodeFolder } from './source/node-headers.mjs';

// npm takes a script of this name for the hook of `npm run build` as well, where it has nothing to do.
// Which of the two was asked for, only npm's own command line says; a shell may be in between.
function npmCommand(pid = process.ppid) {
  const asked = ['-o', 'ppid=', '-o', 'args=', '-p', String(pid)];
  const { stdout } = spawnSync('ps', asked, { encoding: 'utf8' });
  const [, parent, command] = /^\s*(\d+)\s+(.*)/.exec(stdout ?? '') ?? [];
  return command === undefined || command.startsWith('npm ') ? command : npmCommand(Number(parent));
}
if (/^npm run(-script)? build\b/.test(npmCommand())) process.exit();

const prebuildify = createRequire(import.meta.url).resolve('prebuildify/bin.js');
const linux = process.platform === 'linux' ? ['--tag-libc'] : [];
const headers = nodeFolder();

const { status } = spawnSync(
  process.execPath,
  // The Node-API version is in binding.gyp; the version here is the one whose headers are used.
  [prebuildify, '--napi', '--strip', '--name=holdfast', `--target=${process.version}`, ...linux],
  {
    stdio: 'inherit',
    env: { ...process.env, ...(headers && { npm_config_nodedir: headers }) },
  },
);
process.exitCode = status ?? 1;
