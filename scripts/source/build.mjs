// `holdfast build`, in the installed package: compiles the addon for a machine without a fitting binary.
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { nodeFolder } from './node-headers.mjs';

const shipped = fileURLToPath(new URL('.', import.meta.url));
// Where the loader looks first.
const release = fileURLToPath(new URL('../build/Release/', import.meta.url));

const usage = `usage: holdfast build

Compiles the native addon with a C++17 compiler and Python, and puts it into
${release}
`;

/** npm brings a node-gyp along; `npm install node-gyp` is for who has no npm. */
function nodeGyp() {
  const installation = dirname(dirname(process.execPath));
  const candidates = [
    process.env.npm_config_node_gyp,
    ...['lib', 'share/nodejs'].map((folder) =>
      join(installation, folder, 'node_modules/npm/node_modules/node-gyp/bin/node-gyp.js'),
    ),
    join(dirname(process.execPath), 'node_modules/npm/node_modules/node-gyp/bin/node-gyp.js'),
  ];
  const found = candidates.find((file) => file !== undefined && existsSync(file));
  return found ?? createRequire(join(process.cwd(), 'any.js')).resolve('node-gyp/bin/node-gyp.js');
}

/** Elsewhere, since the package's own folder may be shared with other projects by links. */
function build(folder) {
  cpSync(join(shipped, 'native'), join(folder, 'native'), { recursive: true });
  copyFileSync(join(shipped, 'binding.gyp.txt'), join(folder, 'binding.gyp'));
  const addonApi = join(folder, 'node_modules', 'node-addon-api');
  cpSync(join(shipped, 'node-addon-api'), addonApi, { recursive: true });
  copyFileSync(join(addonApi, 'node_addon_api.gyp.txt'), join(addonApi, 'node_addon_api.gyp'));
  const headers = nodeFolder();
  const flags = headers === undefined ? [] : [`--nodedir=${headers}`];
  const { status } = spawnSync(process.execPath, [nodeGyp(), 'rebuild', '--release', ...flags], {
    cwd: folder,
    // The recipe runs "node".
    env: {
      ...process.env,
      PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
    },
    stdio: 'inherit',
  });
  if (status !== 0) return false;
  copyFileSync(join(folder, 'build', 'Release', 'holdfast.node'), join(release, 'holdfast.node'));
  return true;
}

function main(args) {
  if (args[0] === '--help' || args[0] === '-h') {
    process.stdout.write(usage);
    return 0;
  }
  if (args.length > 0) {
    process.stderr.write('holdfast: build takes no arguments: see holdfast build --help\n');
    return 64;
  }
  // First, since the package may be installed for reading only.
  mkdirSync(release, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-build-'));
  try {
    if (!build(folder)) return 1;
    process.stdout.write(`built ${join(release, 'holdfast.node')}\n`);
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = main(process.argv.slice(2));
