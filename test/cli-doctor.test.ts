import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { cliPath, holdfast, holdfastWith } from './helpers/cli.js';
import { faults } from './helpers/faults.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

test('holdfast doctor finds that locks work here, and leaves nothing behind', async () => {
  const folder = temporaryFolder();
  const { code, stdout, stderr } = await holdfast('doctor', folder).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.match(/^ok /gm)?.length).toBe(4);
  expect(stdout).toMatch(/^info +native addon .*holdfast.*\.node$/m);
  expect(stdout).toMatch(/^info +file system \w+ at /m);
  expect(stdout).toContain(`Node ${process.version} on ${process.platform}-${process.arch}`);
  expect(readdirSync(folder)).toEqual([]);
});

needs('faults by LD_PRELOAD')('holdfast doctor sees a file system that cannot lock', async () => {
  const folder = temporaryFolder();
  const env = { ...process.env, ...faults, FAULT_LOCK: '95' };
  const { code, stdout } = await holdfastWith({ env }, 'doctor', folder).ended;
  expect(code).toBe(1);
  expect(stdout).toMatch(/^failure +E(NOTSUP|OPNOTSUPP): .*does not keep locks/m);
});

needs('faults by LD_PRELOAD')('holdfast doctor sees locks that exclude nobody', async () => {
  const folder = temporaryFolder();
  const env = { ...process.env, ...faults, FAULT_NO_LOCKS: '1' };
  const { code, stdout } = await holdfastWith({ env }, 'doctor', folder).ended;
  expect(code).toBe(1);
  expect(stdout.match(/^(ok|failure) .*/gm)?.map((line) => line.split(/ {2,}/))).toEqual([
    ['failure', 'an exclusive lock keeps out an exclusive one'],
    ['failure', 'an exclusive lock keeps out a shared one'],
    ['ok', 'two processes share a shared lock'],
    ['ok', 'a killed holder frees its lock for the one that waits'],
  ]);
  expect(readdirSync(folder)).toEqual([]);
});

needs('faults by LD_PRELOAD')('holdfast doctor sees that a new file is locked', async () => {
  const env = { ...process.env, ...faults, FAULT_BUSY: '99' };
  const { code, stdout } = await holdfastWith({ env }, 'doctor', temporaryFolder()).ended;
  expect(code).toBe(1);
  expect(stdout).toMatch(/^failure +a new lock file is locked already$/m);
});

needs('a runtime that starts without /proc', 'faults by LD_PRELOAD')(
  'holdfast doctor warns of file systems that may exclude nobody else, and knows them without /proc',
  async () => {
    const command = 'mount -t tmpfs none /proc && exec "$@"';
    const args = ['-m', 'sh', '-c', command, 'sh', process.execPath, cliPath, 'doctor'];
    for (const [type, name, warning] of [
      ['0x6969', 'NFS', /^warning +NFS is a network file system/m],
      ['0x65735546', 'FUSE', /^warning +FUSE may keep locks on this side only/m],
    ] as const) {
      const env = { ...process.env, ...faults, FAULT_STATFS: type };
      const { code, stdout } = await start('unshare', [...args, temporaryFolder()], { env }).ended;
      expect(code).toBe(0);
      expect(stdout).toMatch(new RegExp(`^info +file system ${name} at /`, 'm'));
      expect(stdout).toMatch(warning);
      expect(stdout).toMatch(/^warning +without \/proc\/locks only holder records/m);
    }
  },
);

needs('POSIX permissions')('holdfast doctor warns of lock files that others may open', async () => {
  const folder = temporaryFolder();
  tryLock(join(folder, 'private'))?.release();
  expect((await holdfast('doctor', folder).ended).stdout).not.toContain('warning  whoever');
  tryLock(join(folder, 'open'), { fileMode: 0o644 })?.release();
  const { code, stdout } = await holdfast('doctor', folder).ended;
  expect(code).toBe(0);
  expect(stdout).toMatch(/^warning +whoever may open a lock file may hold it.* open\.flock$/m);
});

needs('POSIX permissions')(
  'holdfast doctor warns of a folder that everybody may write',
  async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o1777);
    expect((await holdfast('doctor', folder).ended).stdout).toMatch(
      /^warning +everybody may create/m,
    );
  },
);

needs('the right to mount')('holdfast doctor warns of overlay file systems', async () => {
  const folder = temporaryFolder();
  const command = `
    mount -t tmpfs none "$0" && mkdir "$0/low" "$0/up" "$0/work" "$0/merged" &&
    mount -t overlay -o lowerdir="$0/low",upperdir="$0/up",workdir="$0/work" none "$0/merged" &&
    exec "$@" "$0/merged"`;
  const args = ['-m', 'sh', '-c', command, folder, process.execPath, cliPath, 'doctor'];
  const { code, stdout } = await start('unshare', args).ended;
  expect(stdout).toMatch(/^warning +on overlay file systems/m);
  expect(code).toBe(0);
});

needs('the right to mount')('holdfast doctor says that it is in a container', async () => {
  const unshare = ['-m', '-p', '-f', '--mount-proc', process.execPath, cliPath];
  const { stdout } = await start('unshare', [...unshare, 'doctor', temporaryFolder()]).ended;
  expect(stdout).toMatch(/^warning +this is a pid namespace/m);
});

test('holdfast doctor refuses what is not a folder', async () => {
  expect((await holdfast('doctor', process.execPath).ended).code).toBe(64);
  expect((await holdfast('doctor', '/nonexistent/folder').ended).code).toBe(66);
  expect((await holdfast('doctor', '.', '.').ended).code).toBe(64);
});
