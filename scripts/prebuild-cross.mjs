// Builds the binaries of all shipped platforms, or of those named, on any machine with Python:
//   node scripts/prebuild-cross.mjs [linux-x64.musl …]
// What `npm run prebuild` makes on each platform itself is preferred where there is such a machine.
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { cache, pythonPackages } from './lanes/cache.mjs';
import { run } from './lanes/run.mjs';
import { sourcesFor } from './prebuild/sources.mjs';
import { targets } from './prebuild/targets.mjs';
import { zig } from './prebuild/zig.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const gypFile = readFileSync('binding.gyp');
const requested = process.argv.slice(2);
const chosen = targets.filter(({ name }) => requested.length === 0 || requested.includes(name));
const require = createRequire(import.meta.url);
const headers = dirname(require.resolve('node-api-headers/package.json'));
const addonApi = dirname(require.resolve('node-addon-api/package.json'));

// As in binding.gyp; what is not ours is not to be warned about.
const commonFlags = [
  ...['-std=c++17', '-fvisibility=hidden', '-fvisibility-inlines-hidden', '-fno-rtti'],
  ...['-fno-exceptions', '-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Werror'],
  ...['-ffunction-sections', '-fdata-sections', '-DNAPI_VERSION=8'],
  ...['-DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS', '-DNODE_GYP_MODULE_NAME=holdfast'],
  '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
  ...['-isystem', join(headers, 'include'), '-isystem', relative('.', addonApi)],
  ...['-shared', '-s'],
];

/** What a Windows binary is linked with so that it finds Node-API in node.exe. */
async function importLibrary(folder, triple) {
  const definitions = ['js_native_api', 'node_api'].flatMap((part) =>
    readFileSync(join(headers, 'def', `${part}.def`), 'utf8').match(/^\s*n(api|ode_api)_\w+/gm),
  );
  const [definition, library] = [join(folder, 'node.def'), join(folder, 'libnode.a')];
  writeFileSync(definition, ['NAME NODE.EXE', 'EXPORTS', ...definitions, ''].join('\n'));
  const machine = triple.startsWith('aarch64') ? 'arm64' : 'i386:x86-64';
  await zig(['dlltool', '-m', machine, '-d', definition, '-l', library]);
  return library;
}

async function build(target) {
  const { file, flags, name, platform, triple } = target;
  const started = performance.now();
  // The linker puts files of its own beside its output; somebody else may be building the same.
  const folder = join(cache, 'cross', `${name}.${process.pid}`);
  const output = join(folder, 'holdfast.node');
  mkdirSync(folder, { recursive: true });
  const libraries = platform === 'win32' ? [await importLibrary(folder, triple)] : [];
  // The run-time library is inside on every system here.
  const sources = new Set([...sourcesFor(platform, gypFile), 'native/static_runtime.cc']);
  const inputs = [...sources, ...libraries];
  await zig(['c++', '-target', triple, ...commonFlags, ...inputs, ...flags, '-o', output]);
  mkdirSync(dirname(file), { recursive: true });
  copyFileSync(output, `${file}.${process.pid}`);
  renameSync(`${file}.${process.pid}`, file);
  rmSync(folder, { recursive: true });
  console.log(`${file}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

const queue = [...chosen];
const failures = [];

async function buildNext() {
  for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
    await build(target).catch((error) => failures.push(`${target.name}: ${error.message}`));
  }
}

// Two at a time: the compiler uses one core for each most of the time.
await Promise.all([buildNext(), buildNext()]);
for (const failure of failures) console.error(failure);
if (failures.length === 0) {
  const env = await pythonPackages('lief==1.0.0');
  await run('python3', ['scripts/prebuild/inspect.py', ...chosen.map(({ file }) => file)], { env });
}
process.exitCode = failures.length > 0 ? 1 : 0;
