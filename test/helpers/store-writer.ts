import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';

const program = fileURLToPath(new URL('../fixtures/store-writer.mjs', import.meta.url));
const entry = new URL('../../dist/json-store/index.js', import.meta.url).href;
const running = new Set<ChildProcess>();

type Kind =
  | 'increments'
  | 'appends'
  | 'bigWrites'
  | 'unrecordedWrites'
  | 'lastMoment'
  | 'lateRename';

/** A process that changes a store and tells what it was promised. */
export function startWriter(
  kind: Kind,
  file: string,
  name = '',
  goal = 0,
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  const child = fork(program, [kind, file, name, String(goal)], {
    env: { ...process.env, ...env, STORE_ENTRY: entry },
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** How a process ended: its code, or null when a signal ended it. */
export async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const [code] = await once(child, 'exit');
  return code;
}

afterEach(async () => {
  await Promise.all(
    [...running].map((child) => {
      child.kill('SIGKILL');
      return ended(child);
    }),
  );
});
