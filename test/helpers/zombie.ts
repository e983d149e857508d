import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { start } from './program.js';

const statOf = (pid: number | undefined) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');

/** A process that has ended, and whose parent lives on and does not ask for its exit code. */
export async function startZombie(): Promise<{ pid: number; start: number }> {
  const { child: parent } = start('sh', ['-c', 'sleep 1000 & echo $!; exec sleep 1000']);
  const [line] = await once(parent.stdout as NodeJS.ReadableStream, 'data');
  const pid = Number(line);
  // The shell would ask for it; what it becomes does not.
  while (statOf(parent.pid)[1] !== '(sleep)') await nextTurn();
  process.kill(pid, 'SIGKILL');
  while (statOf(pid)[2] !== 'Z') await nextTurn();
  return { pid, start: Number(statOf(pid)[21]) };
}
