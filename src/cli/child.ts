import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { complain } from './command.js';
import { exitCode, isOutOfResources } from './exit-codes.js';

const onWindows = process.platform === 'win32';

// The console tells every process in it of these, so that they only must not end this one.
const shared: NodeJS.Signals[] = onWindows ? ['SIGINT', 'SIGBREAK'] : ['SIGINT', 'SIGQUIT'];
const passedOn: NodeJS.Signals[] = onWindows ? [] : ['SIGHUP', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'];

function onTerminal(): boolean {
  return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
}

function forwardSignals(forward: (signal: NodeJS.Signals) => void): void {
  for (const signal of passedOn) process.on(signal, forward);
  for (const signal of shared) {
    // A terminal sends them to the command itself; once more could mean something else to it.
    process.on(signal, onWindows || onTerminal() ? () => {} : forward);
  }
}

/** What to run: a program with its arguments, or a line for the shell. */
export type CommandLine = { program: string; args: string[] } | { line: string };

const shell = process.env['SHELL'] || '/bin/sh';

function start(command: CommandLine, stdio: SpawnOptions['stdio']): ChildProcess {
  const options = { stdio, windowsHide: false };
  if ('program' in command) return spawn(command.program, command.args, options);
  if (onWindows) return spawn(command.line, { ...options, shell: true });
  return spawn(shell, ['-c', command.line], options);
}

function nameOf(command: CommandLine): string {
  if ('program' in command) return command.program || 'the command';
  return onWindows ? 'the command' : shell;
}

function refusalOf(command: CommandLine, code: string | undefined): string {
  const name = nameOf(command);
  const scripted = onWindows && 'program' in command && (code === 'ENOENT' || code === 'EINVAL');
  const advice = scripted ? '; a .cmd or .bat file, as npm is one, needs -c' : '';
  return `failed to execute ${name}: ${code}${advice}`;
}

/**
 * Runs a command with this process's standard streams until it ends.
 *
 * @param fd a further descriptor for the command, as its number 3.
 * @param abort ends the command with SIGTERM when it aborts.
 * @returns its exit code as a shell would give it: 128 + n when signal n ended it.
 */
export async function runToEnd(
  command: CommandLine,
  fd?: number,
  abort?: AbortSignal,
): Promise<number> {
  const inherited = fd === undefined ? [] : [fd];
  let child: ChildProcess | undefined;
  // First, or a signal that comes right after the start would end this process and its lock alone.
  forwardSignals((signal) => child?.kill(signal));
  try {
    // Throws at once for a command without a name.
    const started = start(command, ['inherit', 'inherit', 'inherit', ...inherited]);
    // Without a pid it was not started, and a signal to it might reach all of this process group.
    if (started.pid !== undefined) child = started;
    const exited = new Promise<number>((resolve) => {
      started.on('exit', (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
    await once(started, 'spawn');
    // A command that became another user (sudo) gets no signal from this one, and runs on.
    started.on('error', complain);
    abort?.addEventListener('abort', () => started.kill('SIGTERM'));
    return await exited;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    complain(new Error(refusalOf(command, code)));
    return isOutOfResources(code) ? exitCode.osError : exitCode.unavailable;
  }
}
