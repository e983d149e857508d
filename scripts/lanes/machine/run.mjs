// node run.mjs FILE_SYSTEM ARGUMENT…
// Runs Node with these arguments in an emulated machine, in the working directory, which has to hold all
// that is written; temporary files are on a file server of that type: nfs3 or nfs4.
import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { kernel } from './kernel.mjs';

const guest = fileURLToPath(new URL('guest.sh', import.meta.url));
const folder = process.cwd();
const [fileSystem, ...args] = process.argv.slice(2);
const passedOn = ['CI', 'HOLDFAST_REPORT', 'HOLDFAST_TEST_SLOWNESS'];

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const { image, initial, modules } = await kernel();
const job = join(folder, 'job.sh');
const variables = passedOn.flatMap((name) =>
  process.env[name] === undefined ? [] : `export ${name}=${quoted(process.env[name])}`,
);
const lines = [
  `file_system=${fileSystem} folder=${quoted(folder)} modules=${quoted(modules)}`,
  ...variables,
  `job() { ${[process.execPath, ...args].map(quoted).join(' ')}; }`,
  `source ${quoted(guest)}`,
];
writeFileSync(job, `${lines.join('\n')}\n`);

const share = (path, tag, more) =>
  `local,path=${path},mount_tag=${tag},security_model=none,multidevs=remap${more}`;
// Emulated, because not every machine may use its processor's help, and where it may it does not always work.
const machine = ['-machine', 'accel=tcg', '-cpu', 'max', '-smp', '2', '-m', '2G'];
const nothingElse = ['-nodefaults', '-no-reboot', '-display', 'none', '-serial', 'stdio'];
const child = spawn(
  'qemu-system-x86_64',
  [
    ...[...machine, ...nothingElse],
    ...['-kernel', image, '-initrd', initial],
    ...['-append', `console=ttyS0 quiet loglevel=3 panic=-1 job=${job}`],
    ...['-virtfs', share('/', 'files', ',readonly=on'), '-virtfs', share(folder, 'work', '')],
  ],
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
child.once('exit', (code) => {
  rmSync(job);
  process.exitCode = code;
});
