import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { LockMode } from '../options.js';

/** What a contender is asked to do. */
export type Demand = { do: 'try' | 'wait'; mode: LockMode } | { do: 'release' };

/** Whether it was granted, or why it failed. */
export type Reply = { granted: boolean } | { failure: string };

/** Another process that takes locks on demand. */
export class Contender {
  readonly #child: ChildProcess;

  constructor(lockPath: string) {
    this.#child = fork(new URL('./contender-process.js', import.meta.url), [lockPath], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  /** Throws what the other process says has failed. */
  async ask(demand: Demand): Promise<boolean> {
    this.#child.send(demand);
    const ended = once(this.#child, 'exit').then(() => [{ failure: 'the process ended' }]);
    const [reply] = (await Promise.race([once(this.#child, 'message'), ended])) as [Reply];
    if ('failure' in reply) throw new Error(reply.failure);
    return reply.granted;
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
