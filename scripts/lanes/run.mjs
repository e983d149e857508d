// Runs a program to its end, with a limit, and leaves none of its processes behind.
import { spawn, spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import process from 'node:process';

const longestMinutes = 15;
// For a program to end what it has started in groups of their own.
const graceMs = 10_000;
const lookEveryMs = 5_000;

// On Windows npm is a script for the shell, which cannot be started as a program is.
const npm = process.env.npm_execpath;

/** When this file was written last; none that is there yet was written never. */
const writtenAt = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Calls `stalled` once a file was not written for so long. Answers what ends that. */
function watch({ file, minutes }, stalled) {
  const began = Date.now();
  const timer = setInterval(() => {
    if (Date.now() - Math.max(began, writtenAt(file)) < minutes * 60_000) return;
    clearInterval(timer);
    console.log(`${file} was not written for ${minutes} minutes; what there is meanwhile:`);
    const columns = 'pid,ppid,stat,wchan:24,etimes,times,args';
    console.log(spawnSync('ps', ['-eo', columns], { encoding: 'utf8' }).stdout);
    stalled();
  }, lookEveryMs);
  return () => clearInterval(timer);
}

/**
 * Answers `{ code, output }`. With `quiet` the output is shown only when the program failed.
 * Throws when it failed, unless `mayFail`. It is ended when the `signal` aborts, and when it does
 * not write a file for longer than `progress: { file, minutes }` says.
 */
export function run(command, args, options = {}) {
  const { cwd, env, quiet = false, mayFail = false, minutes = longestMinutes } = options;
  const { progress, signal: ending, stdio } = options;
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
  const limits = [];
  const end = () => {
    signalGroup('SIGTERM');
    limits.push(setTimeout(endGroup, graceMs));
  };
  limits.push(setTimeout(end, minutes * 60_000));
  const endWatch = progress === undefined ? () => {} : watch(progress, end);
  ending?.addEventListener('abort', end);
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const forget = () => {
    endWatch();
    ending?.removeEventListener('abort', end);
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
