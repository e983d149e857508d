import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';
import { temporaryFolder } from './folder.js';

const entry = new URL('../../dist/index.js', import.meta.url).href;
const runner = fileURLToPath(new URL('../fixtures/run.mjs', import.meta.url));
const children = new Set<ChildProcess>();

/** A started program, whatever it is written in. */
export interface Program {
  readonly child: ChildProcess;
  /** Waits until it has printed this to its standard output. */
  printed(text: string): Promise<void>;
  /** Waits for its end. */
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** Starts a program; what it leaves running is killed after the test. */
export function start(command: string, args: string[], options: SpawnOptions = {}): Program {
  const child = spawn(command, args, { stdio: 'pipe', ...options });
  children.add(child);
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const watcher of watchers) watcher();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>(
    (resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    },
  );
  const printed = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!stdout.includes(text)) return;
        watchers.delete(look);
        resolve();
      };
      watchers.add(look);
      look();
      const without = () => reject(new Error(`ended without printing ${text}: ${stdout}${stderr}`));
      ended.then(without, reject);
    });
  return { child, printed, ended };
}

/** The command that runs this module: not every runtime takes one by -e. */
export function moduleCommand(source: string): [string, string, string] {
  const file = join(temporaryFolder(), 'program.mjs');
  writeFileSync(file, source);
  return [process.execPath, runner, file];
}

/** Starts a module that may `await import(process.env.HOLDFAST_ENTRY)`. */
export function startModule(source: string, ...args: string[]): Program {
  const [program, ...first] = moduleCommand(source);
  return start(program, [...first, ...args], {
    env: { ...process.env, HOLDFAST_ENTRY: entry },
  });
}

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});
