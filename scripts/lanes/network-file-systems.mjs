// The tests that are about files, on file servers: NFS and SMB of an emulated machine, whose kernel has them.
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { debianPackages } from './cache.mjs';
import { combined, lane } from './report.mjs';
import { stage, stageFolder, vitest } from './stage.mjs';

const machine = fileURLToPath(new URL('machine/run.mjs', import.meta.url));

// What is run of the suite: all of it takes long on an emulated processor.
const files = ['exclusion', 'file-server', 'holder-record', 'inspect', 'process-death'].map(
  (name) => `test/${name}.test.ts`,
);

const fileSystems = { NFSv4: { type: 'nfs4' }, NFSv3: { type: 'nfs3' }, SMB: { type: 'smb' } };

await lane('network-file-systems', async () => {
  await debianPackages(
    ...['qemu-system-x86', 'kmod', 'e2fsprogs'],
    ...['nfs-kernel-server', 'nfs-common', 'rpcbind', 'samba', 'cifs-utils'],
  );
  const results = {};
  for (const [name, { type, lacking }] of Object.entries(fileSystems)) {
    const folder = await stage(stageFolder(type), { binary: 'linux-x64.glibc' });
    const program = [process.execPath, machine, type];
    results[name] = await vitest(folder, program, { files, lacking, slowness: 5 });
  }
  return combined(results);
});
