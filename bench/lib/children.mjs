// Child processes with a limit: each is started in a process group of its own, so that whatever it starts dies with it.
import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { nowUs } from './clock.mjs';

const workerFile = fileURLToPath(new URL('worker.mjs', import.meta.url));

/** @type {Set<import('node:child_process').ChildProcess>} */
const alive = new Set();

function killGroup(/** @type {import('node:child_process').ChildProcess} */ child) {
  alive.delete(child);
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** Also from an exit handler: no child outlives the run, however it ends. */
export function killAll() {
  for (const child of alive) killGroup(child);
}

function track(
  /** @type {import('node:child_process').ChildProcess} */ child,
  /** @type {number} */ limitMs,
) {
  alive.add(child);
  const timer = setTimeout(() => killGroup(child), limitMs);
  child.once('exit', () => {
    clearTimeout(timer);
    // What the child itself started may still run.
    killGroup(child);
  });
  return child;
}

/**
 * A program that is given its arguments and answers on standard output.
 * @param {string} file
 * @param {(string | number)[]} args
 * @param {number} limitMs
 * @param {(child: import('node:child_process').ChildProcess) => void} [started]
 * @returns {Promise<string>}
 */
export function runProgram(file, args, limitMs, started) {
  return new Promise((resolve, reject) => {
    const child = track(
      spawn(file, args.map(String), { detached: true, stdio: ['pipe', 'pipe', 'pipe'] }),
      limitMs,
    );
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else
        reject(
          new Error(`${file.split('/').at(-1)} ended with ${code ?? signal}: ${stderr.trim()}`),
        );
    });
    started?.(child);
  });
}

/** A Node.js process that plays one role of a scenario with one adapter, see worker.mjs. */
export class Worker {
  /** @type {{ type: string, value: unknown }[]} */
  #received = [];
  /** @type {{ type: string, resolve: (value: unknown) => void, reject: (error: Error) => void } | null} */
  #waiting = null;
  /** @type {Error | null} */
  #failure = null;

  /**
   * @param {object} job
   * @param {string} job.scenario
   * @param {string} job.role
   * @param {string} job.adapter
   * @param {object} job.params
   * @param {number} job.limitMs  it is killed when it lives longer
   * @param {string[]} [job.under]  a command that runs it, strace say
   * @param {string[]} [job.nodeFlags]
   */
  constructor({ scenario, role, adapter, params, limitMs, under = [], nodeFlags = [] }) {
    const [execPath, ...execArgv] = [...under, process.execPath, ...nodeFlags];
    const job = JSON.stringify({ scenario, role, adapter, params });
    this.child = track(
      fork(workerFile, [job], {
        execPath,
        execArgv,
        detached: true,
        serialization: 'advanced',
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      }),
      limitMs,
    );
    this.child.on('message', (message) => this.#deliver(message));
    this.child.once('error', (error) => this.#fail(error));
    this.child.once('exit', (code, signal) => {
      this.#fail(
        new Error(
          signal === 'SIGKILL'
            ? `stuck, killed after ${limitMs / 1000} s`
            : `ended with ${code ?? signal}`,
        ),
      );
    });
  }

  get pid() {
    return this.child.pid;
  }

  send(/** @type {string} */ type, /** @type {unknown} */ value) {
    if (this.child.connected) this.child.send({ type, value });
  }

  /** The next message of this type; rejects when the worker fails, ends or is killed before. */
  receive(/** @type {string} */ type) {
    const at = this.#received.findIndex((message) => message.type === type);
    if (at >= 0) return Promise.resolve(this.#received.splice(at, 1)[0].value);
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting = { type, resolve, reject };
    });
  }

  kill() {
    killGroup(this.child);
  }

  #deliver(message) {
    if (message.type === 'failed') return this.#fail(new Error(message.value));
    if (this.#waiting?.type !== message.type) return this.#received.push(message);
    const { resolve } = this.#waiting;
    this.#waiting = null;
    resolve(message.value);
  }

  #fail(/** @type {Error} */ error) {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = null;
  }
}

/**
 * Runs the jobs as processes that start at the same moment, and gives back their results.
 * @param {ConstructorParameters<typeof Worker>[0][]} jobs
 */
export async function runTogether(jobs) {
  const workers = jobs.map((job) => new Worker(job));
  try {
    await Promise.all(workers.map((worker) => worker.receive('ready')));
    const startUs = nowUs() + 20_000;
    for (const worker of workers) worker.send('start', startUs);
    return await Promise.all(workers.map((worker) => worker.receive('result')));
  } finally {
    for (const worker of workers) worker.kill();
  }
}
