// Runs a program to its end, with a limit, and leaves none of its processes behind.
import { spawn } from 'node:child_process';
import process from 'node:process';

const longestMinutes = 15;
// For a program to end what it has started in groups of their own.
const graceMs = 10_000;

// On Windows npm is a script for the shell, which cannot be started as a program is.
const npm = process.env.npm_execpath;

/**
 * Answers `{ code, output }`. With `quiet` the output is shown only when the program failed.
 * Throws when it failed, unless `mayFail`.
 */
export function run(command, args, options = {}) {
  const { cwd, env, quiet = false, mayFail = false, minutes = longestMinutes, stdio } = options;
  // A group of its own, so that its children can be ended with it.
  const [program, ...first] =
    command === 'npm' && npm !== undefined ? [process.execPath, npm] : [command];
  const child = spawn(program, [...first, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: stdio ?? ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const signalGroup = (signal) => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // Nothing is left of it.
    }
  };
  const endGroup = () => signalGroup('SIGKILL');
  const stop = (signal) => {
    endGroup();
    process.kill(process.pid, signal);
  };
  const limits = [
    setTimeout(() => signalGroup('SIGTERM'), minutes * 60_000),
    setTimeout(endGroup, minutes * 60_000 + graceMs),
  ];
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const forget = () => {
    for (const limit of limits) clearTimeout(limit);
    process.off('SIGINT', stop).off('SIGTERM', stop);
  };
  return new Promise((resolve, reject) => {
    // There is no such program.
    child.once('error', (error) => {
      forget();
      reject(error);
    });
    child.once('close', (code, signal) => {
      forget();
      endGroup();
      if (code === 0 || mayFail) {
        resolve({ code: code ?? 1, output });
        return;
      }
      const ended = signal === null ? `exit code ${code}` : `${signal} (limit ${minutes} min)`;
      reject(new Error(`${[command, ...args].join(' ')}: ${ended}\n${output}`));
    });
  });
}
