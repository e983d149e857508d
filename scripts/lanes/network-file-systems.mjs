// The tests that are about files, on NFS, which an emulated machine serves itself: not every kernel has it.
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

/** What NFS cannot pass. */
const lacking = {
  'inspect counts who waits, in other processes and here':
    "the kernel's client does not show who waits, but asks the server again and again",
};

const fileSystems = { NFSv4: 'nfs4', NFSv3: 'nfs3' };

await lane('network-file-systems', async () => {
  await debianPackages(
    ...['qemu-system-x86', 'kmod', 'e2fsprogs'],
    ...['nfs-kernel-server', 'nfs-common', 'rpcbind'],
  );
  const results = {};
  for (const [name, type] of Object.entries(fileSystems)) {
    const folder = await stage(stageFolder(type), { binary: 'linux-x64.glibc' });
    const program = [process.execPath, machine, type];
    results[name] = await vitest(folder, program, { files, lacking, slowness: 5 });
  }
  return combined(results);
});
