// Fills source/, which the package ships for machines without a fitting binary. Installers take a
// file named binding.gyp for an order to compile, so recipes travel under another name.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
rmSync('source', { recursive: true, force: true });
mkdirSync('source/native', { recursive: true });

for (const name of readdirSync('native').filter((file) => /\.(cc|h|map)$/.test(file))) {
  cpSync(join('native', name), join('source/native', name));
}
cpSync('scripts/source', 'source', { recursive: true });

// A compiler that is newer than this package may warn of more.
const recipe = readFileSync('binding.gyp', 'utf8')
  .replaceAll(/,\s*'-Werror'/g, '')
  .replace("'WarnAsError': 'true'", "'WarnAsError': 'false'");
if (/-Werror|'true'/.test(recipe)) throw new Error('a warning would still end a build from source');
writeFileSync('source/binding.gyp.txt', recipe);

const addonApi = dirname(createRequire(import.meta.url).resolve('node-addon-api/package.json'));
const needed =
  /^(napi.*\.h|(no)?except\.gypi|node_addon_api\.gyp|index\.js|package\.json|LICENSE\.md)$/;
for (const name of readdirSync(addonApi).filter((file) => needed.test(file))) {
  const shipped = name.replace(/\.gyp$/, '.gyp.txt');
  cpSync(join(addonApi, name), join('source/node-addon-api', shipped));
}
