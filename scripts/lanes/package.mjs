// The packed tarball as users get it, never the checkout:
//   npm run test:package [-- --tarball=holdfast-1.0.0.tgz]
// Without a tarball one is packed here, with all binaries from the cross build.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { targets } from '../prebuild/targets.mjs';
import { headersEnvironment } from './build-tools.mjs';
import { npmPackages } from './cache.mjs';
import { installers } from './package/installers.mjs';
import { compileTypes } from './package/types.mjs';
import { lane } from './report.mjs';
import { run } from './run.mjs';
import { binaryFor, root, stageFolder } from './stage.mjs';

const results = { passed: [], failed: [], skipped: [] };

async function check(name, body) {
  try {
    await body();
    results.passed.push(name);
  } catch (error) {
    console.log(`${name}: ${error.message}`);
    results.failed.push(name);
  }
}

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

function emptyFolder(name) {
  const folder = join(stageFolder('package'), name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A copy of the checkout, since packing writes into it while other lanes read from it. */
async function pack() {
  const folder = emptyFolder('checkout');
  for (const { name } of targets) await binaryFor(name);
  const inputs = ['native', 'prebuilds', 'scripts', 'src', 'package.json', 'binding.gyp'];
  const build = ['rolldown.config.ts', 'tsconfig.json', 'tsconfig.build.json'];
  const texts = ['README.md', 'LICENSE', 'docs'];
  for (const path of [...inputs, ...build, ...texts]) {
    cpSync(join(root, path), join(folder, path), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');

  const packing = { cwd: folder, quiet: true, mayFail: true };
  for (const { file } of targets) {
    await check(`npm pack fails without ${file}`, async () => {
      const binary = readFileSync(join(folder, file));
      rmSync(join(folder, file));
      const { code, output } = await run('npm', ['pack'], packing);
      writeFileSync(join(folder, file), binary);
      expect(code !== 0, 'it did not fail');
      expect(output.includes(`${file} is missing`), `it does not say so:\n${output}`);
    });
  }
  const { code, output } = await run('npm', ['pack'], packing);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (code !== 0 || tarball === undefined) throw new Error(`npm pack failed:\n${output}`);
  console.log(output);
  return join(folder, tarball);
}

/** Programs that note down that somebody wanted to compile, and refuse. */
function traps() {
  const folder = emptyFolder('compilers');
  for (const name of [
    'cc',
    'c++',
    'gcc',
    'g++',
    'clang',
    'clang++',
    'make',
    'python3',
    'node-gyp',
  ]) {
    writeFileSync(join(folder, name), '#!/bin/sh\necho ran > "$0.ran"\nexit 1\n');
    chmodSync(join(folder, name), 0o755);
  }
  return folder;
}

const smokeCases = ['import', 'require', 'in a worker', 'two processes exclude each other'];

async function smoke(folder, from) {
  cpSync(join(import.meta.dirname, 'package', 'smoke.mjs'), join(folder, 'smoke.mjs'));
  for (const name of smokeCases) {
    await check(`${from}: ${name}`, async () => {
      const { output } = await run(process.execPath, ['smoke.mjs', name], {
        cwd: folder,
        quiet: true,
        minutes: 1,
      });
      expect(output === '', `it printed:\n${output}`);
    });
  }
}

/** Lines that tell the user of a trouble, but for those about the user's own settings. */
function warnings(output) {
  return output
    .split('\n')
    .filter((line) => /warn|deprecat|blocked|ignored build|peer|error/i.test(line))
    .filter((line) => !/Unknown \w+ config/.test(line))
    .join('\n');
}

async function installWith(name, install, tarball) {
  const folder = emptyFolder(name.replaceAll(' ', ''));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true }));
  const compilers = traps();
  const path = process.env.PATH;
  process.env.PATH = `${compilers}${delimiter}${path}`;
  const outcome = await install(folder, tarball).finally(() => {
    process.env.PATH = path;
  });
  if (outcome === undefined) {
    const reason = `${name} has no program for ${process.platform}-${process.arch}`;
    results.skipped.push({ name: `${name}: all of it`, reason });
    return folder;
  }
  await check(`${name}: installs without a warning`, async () => {
    const said = warnings(outcome.output);
    expect(said === '', said);
  });
  await check(`${name}: nothing is compiled`, async () => {
    const ran = readdirSync(compilers).filter((file) => file.endsWith('.ran'));
    expect(ran.length === 0, `it started ${ran}`);
    expect(!existsSync(join(folder, 'node_modules/holdfast/build')), 'there is a build folder');
  });
  await smoke(folder, name);
  return folder;
}

async function withoutBinary(tarball) {
  const folder = emptyFolder('source');
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true }));
  await run('npm', ['install', tarball], { cwd: folder, quiet: true });
  rmSync(join(folder, 'node_modules/holdfast/prebuilds'), { recursive: true });
  cpSync(join(import.meta.dirname, 'package', 'smoke.mjs'), join(folder, 'smoke.mjs'));

  await check('without a binary, import throws what says how to build one', async () => {
    const { output } = await run(process.execPath, ['smoke.mjs', 'without a binary'], {
      cwd: folder,
      quiet: true,
    });
    const platform = `${process.platform}-${process.arch}`;
    for (const part of [platform, 'Shipped are', 'win32-arm64', 'npx holdfast build']) {
      expect(output.includes(part), `"${part}" is not in: ${output}`);
    }
  });
  await check('npx holdfast build builds from the installed package', async () => {
    const options = { cwd: folder, env: await headersEnvironment(), quiet: true };
    await run('npm', ['exec', '--no', '--', 'holdfast', 'build'], options);
  });
  await check('an argument that build does not know is an error in one line', async () => {
    const options = { cwd: folder, quiet: true, mayFail: true };
    const { output } = await run('npm', ['exec', '--no', '--', 'holdfast', 'build', 'x'], options);
    expect(output.startsWith('holdfast: build takes no arguments'), output);
  });
  await smoke(folder, 'built from source');
}

async function lint(tarball) {
  const publint = join(await npmPackages('publint@0.3.25'), 'publint');
  await check('publint is content', () =>
    run(process.execPath, [join(publint, 'src/cli.js'), tarball, '--strict'], { quiet: true }),
  );
  const attw = join(await npmPackages('@arethetypeswrong/cli@0.18.5'), '@arethetypeswrong/cli');
  await check('the types are right for every resolution', () =>
    run(process.execPath, [join(attw, 'dist/index.js'), tarball, '--profile', 'esm-only'], {
      quiet: true,
    }),
  );
}

await lane('package', async () => {
  const { values } = parseArgs({ options: { tarball: { type: 'string' } } });
  // What npm tells the scripts that it runs is not for the installers that are tried here.
  for (const name of Object.keys(process.env)) {
    if (/^npm_/i.test(name)) delete process.env[name];
  }
  const tarball = values.tarball === undefined ? await pack() : resolve(values.tarball);
  console.log(`${tarball}: ${statSync(tarball).size} bytes`);
  await lint(tarball);
  const folders = {};
  for (const [name, install] of Object.entries(installers)) {
    folders[name] = await installWith(name, install, tarball);
  }
  await run('npm', ['install', '@types/node@20'], { cwd: folders.npm, quiet: true });
  await compileTypes(folders.npm, check);
  await withoutBinary(tarball);
  return results;
});
