// Builds the addon for the machine it runs on: node scripts/build-native.mjs [--asan] [--tsan] [--debug]
// Headers that came with Node are used where they are; node-gyp fetches them only where they are not.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { nodeFolder } from './source/node-headers.mjs';

const { values } = parseArgs({
  options: {
    asan: { type: 'boolean', default: false },
    tsan: { type: 'boolean', default: false },
    debug: { type: 'boolean', default: false },
  },
});

const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
const headers = nodeFolder();

const result = spawnSync(
  process.execPath,
  [
    nodeGyp,
    'rebuild',
    values.debug ? '--debug' : '--release',
    ...(headers === undefined ? [] : [`--nodedir=${headers}`]),
    '--silent',
    '--',
    `-Dasan=${Number(values.asan)}`,
    `-Dtsan=${Number(values.tsan)}`,
  ],
  { stdio: 'inherit' },
);
process.exit(result.status ?? 1);
