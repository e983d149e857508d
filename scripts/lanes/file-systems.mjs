// The tests that are about files, on other file systems than the one of this checkout. Each is mounted for
// the time of its tests, which takes root.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { debianPackages } from './cache.mjs';
import { combined, lane } from './report.mjs';
import { run } from './run.mjs';
import { stage, stageFolder, vitest } from './stage.mjs';

const imageBytes = 512 * 2 ** 20;

const files = [
  'bad-lock-file',
  'cancel',
  'cli-lock-files',
  'cli-prune',
  'cli-status',
  'cli-status-watch',
  'exclusion',
  'fifo',
  'given-up-waits',
  'holder-record',
  'inspect',
  'interoperation',
  'json-store',
  'json-store-changed',
  'json-store-lease',
  'json-store-links',
  'jsonl-store',
  'lock-file-mode',
  'lock-sync',
  'many-writers',
  'named-holder',
  'paths',
  'process-death',
  'record-failure',
  'replaced-file',
  'reused-number',
  'session-lock',
  'with-lock',
].map((name) => `test/${name}.test.ts`);

const byPath =
  'FUSE is treated as a network file system, where each spelling of a path has a queue of its own';
const samePath =
  'on what is treated as a network file system it is the same lock, because it has the same path';

/** What a FUSE file system cannot pass, with what was seen on bindfs. */
const lackingInFuse = {
  'a path with detours': byPath,
  'a path through a linked folder': byPath,
  'a path through a bind mount': byPath,
  'a waiting writer is not overtaken by later readers that come by another path': byPath,
  'a scope that took the new file by another path than those who wait for the old one is told of its own lock':
    byPath,
  'those who waited for a deleted lock file are found by the new one, whatever the path': byPath,
  'a second name of the lock file': 'each name has an inode of its own in bindfs',
  'a lock is handed over within a process without a thread for it':
    'FUSE is treated as a network file system, where a thread opens the file',
  'when the lock file *.flock was deleted and locked anew, the older holder is refused': samePath,
  'when the lock file *.other was deleted and locked anew, the older holder is refused': samePath,
  'when the lock file was deleted and locked anew, the append of the older holder is refused':
    samePath,
};

/** Mounts a new file system of this type, kept in a file. */
async function mountImage(type, folder, mounted) {
  const image = join(folder, `${type}.img`);
  writeFileSync(image, '');
  truncateSync(image, imageBytes);
  await run(`mkfs.${type}`, ['-q', image], { quiet: true });
  await run('mount', ['-o', 'loop', image, mounted], { quiet: true });
}

async function mountOverlay(folder, mounted) {
  const parts = ['lower', 'upper', 'work'].map((name) => join(folder, name));
  for (const part of parts) mkdirSync(part);
  const [lower, upper, work] = parts;
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  await run('mount', ['-t', 'overlay', 'overlay', '-o', options, mounted], { quiet: true });
}

async function mountFuse(folder, mounted) {
  const source = join(folder, 'source');
  mkdirSync(source);
  await run('bindfs', [source, mounted], { quiet: true });
}

const fileSystems = {
  XFS: { mount: (...where) => mountImage('xfs', ...where) },
  Btrfs: { mount: (...where) => mountImage('btrfs', ...where) },
  overlayfs: { mount: mountOverlay },
  tmpfs: {
    mount: (_, mounted) => run('mount', ['-t', 'tmpfs', 'tmpfs', mounted], { quiet: true }),
  },
  'FUSE (bindfs)': { mount: mountFuse, lacking: lackingInFuse },
};

/** Runs the tests with their temporary files on a file system that is gone afterwards. */
async function testOn({ mount, lacking }, package_) {
  // Short, because command lines are shown up to a length.
  const folder = mkdtempSync(join(tmpdir(), 'fs-'));
  const mounted = join(folder, 'm');
  mkdirSync(mounted);
  try {
    await mount(folder, mounted);
    // Some tests are of other users than root.
    for (const path of [folder, mounted]) chmodSync(path, 0o755);
    return await vitest(package_, [process.execPath], {
      env: { TMPDIR: mounted },
      files,
      lacking,
      minutes: 6,
    });
  } finally {
    // Lazily: a process that a test has killed may not be gone yet.
    await run('umount', ['--lazy', mounted], { quiet: true, mayFail: true });
    rmSync(folder, { recursive: true, force: true });
  }
}

await lane('file-systems', async () => {
  if (process.getuid() !== 0) throw new Error('mounting file systems takes root');
  await debianPackages('mount', 'xfsprogs', 'btrfs-progs', 'bindfs', 'fuse3');
  const package_ = await stage(stageFolder('file-systems'), { binary: 'linux-x64.glibc' });
  const results = {};
  for (const [name, fileSystem] of Object.entries(fileSystems)) {
    results[name] = await testOn(fileSystem, package_);
  }
  return combined(results);
});
