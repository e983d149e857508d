import { execSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Exported {
  types: string;
  default: string;
}

interface Manifest {
  name: string;
  type: string;
  license: string;
  sideEffects: boolean;
  gypfile: boolean;
  engines: { node: string };
  bin?: Record<string, string>;
  exports: Record<string, string | Exported>;
  files: string[];
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
}

const manifest: Manifest = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));

// npm 12, pnpm and Bun run no install scripts of dependencies unless told to: what needs one does
// not work after a plain install. And npm runs "node-gyp rebuild" by itself for a package with a
// binding.gyp and no install script of its own, unless gypfile is false: that would fail on every
// machine without a compiler, although the binary is in the package.
test('nothing is run and nothing is built when the package is installed', () => {
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
    expect(manifest.scripts).not.toHaveProperty(name);
  }
  expect(manifest.gypfile).toBe(false);
  expect(manifest.files.join(' ')).not.toMatch(/binding\.gyp|native|\*\*/);
});

needs('npm')('the tarball has the built files and no sources, tests or build recipe', () => {
  const output = execSync('npm pack --dry-run --json --ignore-scripts', {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ files }] = JSON.parse(output.slice(output.indexOf('['))) as [
    { files: { path: string }[] },
  ];
  const paths = files.map(({ path }) => path.replaceAll('\\', '/'));
  expect(paths).toContain('dist/index.js');
  expect(paths).toContain('dist/index.d.ts');
  expect(paths).toContain('package.json');
  const pages = readFileSync(`${root}/README.md`, 'utf8').match(/docs\/[\w-]+\.md/g);
  expect(paths).toEqual(expect.arrayContaining([...new Set(pages)]));
  expect(
    paths.filter((path) => /^(src|test|bench|native|build|scripts)\/|\.gyp$/.test(path)),
  ).toEqual([]);
});

// node-addon-api's recipe sets 10.7 for whoever depends on it, after all but these conditions.
test('the oldest macOS to build for is said where nothing else comes after it', (context) => {
  const recipe = `${root}/binding.gyp`;
  if (!existsSync(recipe)) context.skip('needs the checkout');
  const [before, after] = readFileSync(recipe, 'utf8').split("'target_conditions': [");
  expect(before).not.toContain('MACOSX_DEPLOYMENT_TARGET');
  expect(after).toContain("'MACOSX_DEPLOYMENT_TARGET': '11.0'");
});

test('it is an ES module without side effects for Node 20.19 and later', () => {
  expect(manifest).toMatchObject({
    name: 'holdfast',
    type: 'module',
    license: 'MIT',
    sideEffects: false,
    engines: { node: '>=20.19' },
  });
});

test('every export says its types first, and both files are there', () => {
  for (const [name, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'string') continue;
    expect(Object.keys(target), name).toEqual(['types', 'default']);
    for (const path of Object.values(target)) {
      expect(readFileSync(`${root}/${path}`, 'utf8').length, path).toBeGreaterThan(0);
    }
  }
});

test('at run time it depends on one package at most', () => {
  expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(1);
});

// require() of an ES module works from Node 20.19 on, but for one with a top-level await.
test('every export can be required from CommonJS', async () => {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  expect(major > 20 || minor >= 19, 'this Node is older than "engines" says').toBe(true);
  const require = createRequire(import.meta.url);
  expect(require.resolve('holdfast')).toMatch(/dist.index\.js$/);
  for (const [name, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'string') continue;
    const id = name.replace('.', 'holdfast');
    const program = start(process.execPath, ['-p', `Object.keys(require('${id}')).length > 0`], {
      cwd: root,
    });
    expect(await program.ended, id).toMatchObject({ code: 0, stdout: 'true\n' });
  }
});

// They are bundled, and a second copy of what they share would see neither these locks nor these classes.
test('locks that the other entry points take are among those of the main one', async () => {
  const source = `
    const { FileLock, LockLostError, heldLocks, releaseAll } = require('holdfast');
    const { acquireSessionWriteLock } = require('holdfast/session-lock');
    const { jsonStore } = require('holdfast/json-store');
    const folder = process.argv[1];
    (async () => {
      const { lock } = await acquireSessionWriteLock({ sessionFile: folder + '/a.jsonl' });
      console.log(lock instanceof FileLock, heldLocks().length);
      releaseAll();
      try { lock.assertHeld(); } catch (error) { console.log(error instanceof LockLostError); }
      await jsonStore(folder + '/b.json').updateOr({}, (value, lock) => {
        console.log(lock instanceof FileLock, heldLocks().length);
        return value;
      });
    })();`;
  const program = start(process.execPath, ['-e', source, temporaryFolder()], { cwd: root });
  expect(await program.ended).toMatchObject({ code: 0, stdout: 'true 1\ntrue\ntrue 1\n' });
});
