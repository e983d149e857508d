// What lanes install stays here, outside the checkout, so that the next run starts at once.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { run } from './run.mjs';

// Not in root's home, which is closed to others: some tests become somebody else.
const shared = process.getuid?.() === 0 ? '/var/cache' : join(homedir(), '.cache');

/** The first of these folders that can be written to: not every machine gives its user a home. */
function firstWritable(folders) {
  return folders.find((folder) => {
    try {
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const parents = [process.env.XDG_CACHE_HOME ?? shared, tmpdir()];
export const cache = firstWritable(parents.map((folder) => join(folder, 'holdfast-lanes')));

/** Whether there is such a program, and it ends well. */
export const runs = (program, ...args) =>
  spawnSync(program, args, { stdio: 'ignore' }).status === 0;

/** Short name of a text that decides what is installed. */
export const digest = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** A folder of the cache that `fill(folder)` makes once; one that was interrupted starts again. */
export async function cached(name, fill) {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  await fill(unfinished);
  try {
    renameSync(unfinished, folder);
  } catch (error) {
    // Somebody else may have been faster.
    if (!existsSync(folder)) throw error;
    rmSync(unfinished, { recursive: true, force: true });
  }
  return folder;
}

/** Installs npm packages, whatever platform they are for, and answers their node_modules. */
export async function npmPackages(...packages) {
  const name = `npm-${packages.join('+').replaceAll(/[^\w.@+-]/g, '_')}`;
  const folder = await cached(name, async (prefix) => {
    const quiet = ['--no-audit', '--no-fund', '--no-save', '--ignore-scripts', '--force'];
    await run('npm', ['install', ...quiet, '--prefix', prefix, ...packages], { quiet: true });
  });
  return join(folder, 'node_modules');
}

/** Puts Python packages into a folder. */
export async function pipInstall(target, ...what) {
  if (!runs('python3', '-m', 'pip', '--version')) await debianPackages('python3', 'python3-pip');
  const install = ['-m', 'pip', 'install', '--quiet', '--root-user-action=ignore'];
  await run('python3', [...install, '--target', target, ...what], { quiet: true });
}

/** Installs Python packages and answers the environment in which `python3 -m` finds them. */
export async function pythonPackages(...packages) {
  const name = `python-${packages.join('+').replaceAll('==', '-')}`;
  const folder = await cached(name, (target) => pipInstall(target, ...packages));
  return { PYTHONPATH: folder };
}

/** Runs apt-get, one at a time: several lanes may want to, and it does not wait for the lists. */
export async function apt(args, options = {}) {
  mkdirSync(cache, { recursive: true });
  const command = ['apt-get', '-o', 'DPkg::Lock::Timeout=300', '-qq', ...args];
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('flock', [join(cache, 'apt.lock'), ...command], { env, quiet: true, ...options });
}

/** Installs Debian packages that are not there yet. */
export async function debianPackages(...packages) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the query language of dpkg
  const state = ['-W', '-f', '${Package} ${db:Status-Abbrev}\n', ...packages];
  const known = await run('dpkg-query', state, { quiet: true, mayFail: true });
  const missing = packages.filter((name) => !known.output.includes(`${name} ii`));
  if (missing.length === 0) return;
  await apt(['update']);
  await apt(['install', '-y', '--no-install-recommends', ...missing]);
}
