import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lock } from 'holdfast';
import { expect } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { lost } from './helpers/lost.js';
import { needs } from './helpers/needs.js';
import { moduleCommand, start } from './helpers/program.js';

const entry = new URL('../dist/json-store/index.js', import.meta.url).href;

// What a power failure could undo, and the end of a lock; runtimes do not all call them by the same names.
const calls =
  'write,pwrite64,fsync,fdatasync,fchmod,ftruncate,rename,renameat2,unlink,unlinkat,flock';

const program = `
  import { chmodSync } from 'node:fs';
  import { jsonStore, jsonlStore } from ${JSON.stringify(entry)};
  const folder = process.argv[2];
  const state = jsonStore(folder + '/state');
  await state.write(1);
  chmodSync(folder + '/state', 0o640);
  await state.update((value) => value + 1);
  await state.delete();
  await jsonStore(folder + '/bad', { onCorrupt: 'backup' }).read().catch(() => {});
  const lines = jsonlStore(folder + '/lines');
  await lines.append(1);
  await lines.append(2);
  await lines.compact((entries) => entries);
  await jsonlStore(folder + '/torn').append(3);
  await jsonlStore(folder + '/left').append(2);
`;

const replaced = (name: string, ...between: string[]) => [
  `write .${name}.N.N.N.tmp`,
  ...between,
  `fsync .${name}.N.N.N.tmp`,
  `rename .${name}.N.N.N.tmp ${name}`,
  'fsync .',
];

/** The calls in the order in which they were done, with the files in the folder that each is about. */
function doneCalls(trace: string, folder: string): string[] {
  const begun = new Map<string, string>();
  const done: string[] = [];
  for (const line of trace.split('\n')) {
    const [, thread = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (text.endsWith('<unfinished ...>')) {
      begun.set(thread, text);
      continue;
    }
    const call = text.startsWith('<... ') ? (begun.get(thread) ?? '') : text;
    const paths = call.split(folder).slice(1);
    if (paths.length === 0) continue;
    const name = call.includes('LOCK_UN') ? 'unlock' : /^(rename|unlink|[a-z]+)/.exec(call)?.[0];
    const names = paths.map((path) => /^[^>"]*/.exec(path)?.[0].replaceAll(/\d+/g, 'N').slice(1));
    const step = [name, ...names.map((file) => file || '.')].join(' ');
    // What else is done with a lock file is no matter of the stores.
    if (name === 'unlock' || !step.endsWith('.flock')) done.push(step);
  }
  return done;
}

needs('strace(1)')(
  'what a store does has reached the disk step by step, before it unlocks',
  async () => {
    const folder = temporaryFolder();
    const log = join(temporaryFolder(), 'trace');
    writeFileSync(join(folder, 'bad'), '}');
    writeFileSync(join(folder, 'torn'), '1\n{');
    writeFileSync(join(folder, 'left'), '1\n');
    const { signal } = await lock(join(folder, 'left'), { lease: 1 });
    await lost(signal);
    const flags = ['-f', '-y', '-s', '0', '-o', log, '-e', `trace=${calls}`];
    const { ended } = start('strace', [...flags, ...moduleCommand(program), folder]);
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
    expect(doneCalls(readFileSync(log, 'utf8'), folder)).toEqual([
      ...[...replaced('state'), 'unlock state.flock'],
      ...[...replaced('state', 'fchmod .state.N.N.N.tmp'), 'unlock state.flock'],
      ...['unlink state', 'fsync .', 'unlock state.flock'],
      ...['rename bad bad.corrupt-N-N-NTN-N-N.NZ-N', 'fsync .', 'unlock bad.flock'],
      // The entry first, or a crash could leave a name without it.
      ...['write lines', 'fdatasync lines', 'fsync .', 'unlock lines.flock'],
      ...['write lines', 'fdatasync lines', 'unlock lines.flock'],
      ...[...replaced('lines'), 'unlock lines.flock'],
      ...['ftruncate torn', 'write torn', 'fdatasync torn', 'unlock torn.flock'],
      // Whoever lost the lock may have been about to sync the folder.
      ...['write left', 'fdatasync left', 'fsync .', 'unlock left.flock'],
    ]);
  },
);

needs('sh')('an append of which only a part finds room leaves nothing of it', async () => {
  const file = join(temporaryFolder(), 'lines');
  writeFileSync(file, '1\n');
  const appending = `
    import { jsonlStore } from ${JSON.stringify(entry)};
    const lines = jsonlStore(process.argv[2]);
    await lines.append([2, 'x'.repeat(3_000)]).catch(() => console.log('refused'));
    await lines.append(3);
  `;
  // A disk that is full, for one process: 1 or 2 KiB a file. Not every runtime ignores the signal that tells so.
  const limited = `trap '' XFSZ; ulimit -f 2; exec "$@"`;
  const { ended } = start('sh', ['-c', limited, 'sh', ...moduleCommand(appending), file]);
  expect(await ended).toEqual({ code: 0, stdout: 'refused\n', stderr: '' });
  expect(readFileSync(file, 'utf8')).toBe('1\n3\n');
});
