import { type ChildProcess, fork } from 'node:child_process';
import type { LockMode } from '../options.js';

/** What a contender is asked to do. */
export type Demand = { do: 'try' | 'wait'; mode: LockMode } | { do: 'release' };

/** Whether it was granted, or why it failed. */
export type Reply = { granted: boolean } | { failure: string };

/** Another process that takes locks on demand. */
export class Contender {
  readonly #child: ChildProcess;
  readonly #failure: Promise<Reply>;

  constructor(lockPath: string) {
    this.#child = fork(new URL('./contender-process.js', import.meta.url), [lockPath], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#failure = new Promise((resolve) => {
      this.#child.on('exit', () => resolve({ failure: 'the process ended' }));
      this.#child.on('error', ({ message }) => resolve({ failure: message }));
    });
  }

  // If not, there may be no channel to it, and a signal to it might reach all of this process group.
  get #wasStarted(): boolean {
    return this.#child.pid !== undefined;
  }

  /** Throws what the other process says has failed. */
  async ask(demand: Demand): Promise<boolean> {
    const replied = new Promise<Reply>((resolve) => this.#child.once('message', resolve));
    if (this.#wasStarted) this.#child.send(demand);
    const reply = await Promise.race([replied, this.#failure]);
    if ('failure' in reply) throw new Error(reply.failure);
    return reply.granted;
  }

  async kill(): Promise<void> {
    if (!this.#wasStarted) return;
    this.#child.kill('SIGKILL');
    await this.#failure;
  }
}
