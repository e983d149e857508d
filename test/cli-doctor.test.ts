import { chmodSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
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

needs('faults by LD_PRELOAD')('holdfast doctor sees shared locks that nobody shares', async () => {
  const env = { ...process.env, ...faults, FAULT_NO_SHARING: '1' };
  const { code, stdout } = await holdfastWith({ env }, 'doctor', temporaryFolder()).ended;
  expect(code).toBe(1);
  expect(stdout.match(/^failure .*/gm)).toEqual(['failure  two processes share a shared lock']);
});

needs('root')('holdfast doctor says that no lock file can be made', async () => {
  const folder = temporaryFolder('/tmp');
  chmodSync(folder, 0o755);
  const nobody = { uid: 65534, gid: 65534 };
  const { code, stdout, stderr } = await holdfastWith(nobody, 'doctor', folder).ended;
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(stdout).toMatch(/^failure +EACCES: /m);
});

needs('faults by LD_PRELOAD')('holdfast doctor says that it can start no process', async () => {
  const env = { ...process.env, ...faults, FAULT_SOCKETPAIR: String(constants.errno.EMFILE) };
  // In a process group of its own: a signal to a process that has no pid may reach all of the group.
  const options = { env, detached: true };
  const { code, stdout, stderr } = await holdfastWith(options, 'doctor', temporaryFolder()).ended;
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(stdout).toMatch(/^failure +spawn .* EMFILE$/m);
});

const contenderExits = `
  if (process.argv[1]?.endsWith('contender-process.js')) process.exit(3);
`;

needs('built-in modules that can be patched', 'POSIX signals')(
  'holdfast doctor says that a process which was to try has ended',
  async () => {
    const preload = `--import=data:text/javascript,${encodeURIComponent(contenderExits)}`;
    const options = { env: { ...process.env, NODE_OPTIONS: preload } };
    const { code, stdout, stderr } = await holdfastWith(options, 'doctor', temporaryFolder()).ended;
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(/^failure +the process ended$/m);
  },
);

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
  writeFileSync(join(folder, 'data'), '', { mode: 0o644 });
  symlinkSync(join(folder, 'nothing'), join(folder, 'link.flock'));
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
    chmodSync(folder, 0o1775);
    const warning = /^warning +everybody may create/m;
    expect((await holdfast('doctor', folder).ended).stdout).not.toMatch(warning);
    chmodSync(folder, 0o1777);
    expect((await holdfast('doctor', folder).ended).stdout).toMatch(warning);
  },
);

needs('the right to mount')('holdfast doctor warns of overlay file systems', async () => {
  const folder = temporaryFolder();
  const command = `
    mount -t tmpfs none "$0" && mkdir "$0/low" "$0/up" "$0/work" "$0/merged" &&
    mount -t overlay -o lowerdir="$0/low",upperdir="$0/up",workdir="$0/work" none "$0/merged" &&
    "$@" "$0" && exec "$@" "$0/merged"`;
  const args = ['-m', 'sh', '-c', command, folder, process.execPath, cliPath, 'doctor'];
  const { code, stdout } = await start('unshare', args).ended;
  expect(code).toBe(0);
  const [below, merged] = stdout.split(/^(?=info +Node )/m);
  expect(below).not.toContain('on overlay file systems');
  expect(merged).toMatch(/^warning +on overlay file systems/m);
});

needs('the right to mount')('holdfast doctor says that it is in a container', async () => {
  const unshare = ['-m', '-p', '-f', '--mount-proc', process.execPath, cliPath];
  const { stdout } = await start('unshare', [...unshare, 'doctor', temporaryFolder()]).ended;
  const warning = /^warning +this is a pid namespace/m;
  expect(stdout).toMatch(warning);
  // The number of the first one (proc_ns.h, PROC_PID_INIT_INO).
  const outside = readlinkSync('/proc/self/ns/pid') === 'pid:[4026531836]';
  const here = await holdfast('doctor', temporaryFolder()).ended;
  expect(warning.test(here.stdout)).toBe(!outside);
});

test('holdfast doctor refuses what is not a folder', async () => {
  expect((await holdfast('doctor', process.execPath).ended).code).toBe(64);
  expect((await holdfast('doctor', '/nonexistent/folder').ended).code).toBe(66);
  expect((await holdfast('doctor', '.', '.').ended).code).toBe(64);
});
