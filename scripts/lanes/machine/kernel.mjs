// A kernel with the file systems that the one of this machine may lack, and what starts it.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { apt, cached, debianPackages, digest } from '../cache.mjs';
import { run } from '../run.mjs';

const init = fileURLToPath(new URL('init', import.meta.url));
// For the files of the machine that it runs on.
const needed = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'];

/** The package that Debian's name for its latest kernel stands for. */
async function latestKernel() {
  await apt(['update']);
  const { output } = await run('apt-cache', ['depends', 'linux-image-amd64'], { quiet: true });
  return /Depends: (linux-image-\S+)/.exec(output)[1];
}

async function unpack(name, folder) {
  // As root: the user to whom apt gives downloads away may not write here.
  const asRoot = ['-o', 'APT::Sandbox::User=root'];
  await apt([...asRoot, 'download', name], { cwd: folder });
  const archive = readdirSync(folder).find((file) => file.endsWith('.deb'));
  await run('dpkg-deb', ['--extract', archive, '.'], { cwd: folder, quiet: true });
}

/** These modules and what they need, in the order in which they can be loaded. */
function modulesInOrder(folder) {
  const lines = readFileSync(join(folder, 'modules.dep'), 'utf8').trim().split('\n');
  const entries = lines.map((line) => line.split(/:? +|:$/).filter((path) => path !== ''));
  const named = (name) => entries.find(([path]) => basename(path, '.ko') === name);
  return [...new Set(needed.flatMap((name) => named(name).toReversed()))];
}

async function makeInitialFiles(folder, modules) {
  const files = join(folder, 'initial');
  const empty = ['proc', 'sys', 'dev', 'root', 'below', 'above', 'bin', 'modules'];
  for (const name of empty) mkdirSync(join(files, name), { recursive: true });
  cpSync('/bin/busybox', join(files, 'bin/busybox'));
  cpSync(init, join(files, 'init'));
  const order = modulesInOrder(modules);
  for (const path of order) cpSync(join(modules, path), join(files, 'modules', basename(path)));
  writeFileSync(join(files, 'modules/order'), order.map((path) => `${basename(path)}\n`).join(''));
  const pack = 'find . | cpio --create --format=newc --quiet > ../initial.cpio';
  await run('sh', ['-c', pack], { cwd: files, quiet: true });
}

/** Answers the files `image` and `initial`, and the folder under which `modules` are. */
export async function kernel() {
  if (process.arch !== 'x64') throw new Error('the emulated machine is an x86-64 one');
  await debianPackages('busybox-static', 'cpio', 'kmod');
  const name = await latestKernel();
  const folder = await cached(`${name}-${digest(readFileSync(init))}`, async (unfinished) => {
    await unpack(name, unfinished);
    const [version] = readdirSync(join(unfinished, 'lib/modules'));
    await run('depmod', ['--basedir', unfinished, version], { quiet: true });
    await makeInitialFiles(unfinished, join(unfinished, 'lib/modules', version));
  });
  const image = readdirSync(join(folder, 'boot')).find((file) => file.startsWith('vmlinuz'));
  return {
    image: join(folder, 'boot', image),
    initial: join(folder, 'initial.cpio'),
    modules: folder,
  };
}
