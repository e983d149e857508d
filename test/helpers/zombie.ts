import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { start } from './program.js';

/** A process that has ended, and whose parent lives on and does not ask for its exit code. */
export async function startZombie(): Promise<{ pid: number; start: number }> {
  const { child } = start('sh', ['-c', 'exit & echo $!; exec sleep 1000']);
  const [line] = await once(child.stdout as NodeJS.ReadableStream, 'data');
  const pid = Number(line);
  for (;;) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
    if (fields[2] === 'Z') return { pid, start: Number(fields[21]) };
    await nextTurn();
  }
}
