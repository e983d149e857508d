import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Mode } from './lock-model.js';

const program = fileURLToPath(new URL('../fixtures/asker.mjs', import.meta.url));
const entry = new URL('../../dist/index.js', import.meta.url).href;

export interface Order {
  act: 'ask' | 'abort' | 'release';
  name: string;
  path?: string;
  how?: 'lock' | 'tryLock';
  mode?: Mode;
  timeout?: number | null;
  /** How long the lock is held; null: until it is told to release. */
  ms?: number | null;
  /** Whether a worker of the process does it. */
  thread?: boolean;
}

interface Leftovers {
  held: number;
  files: string[];
  threads: number;
}

/** Processes that ask for locks as they are told, and write down what comes of it. */
export class Crowd {
  /** Where they write that. */
  log = '';
  /** When those that were killed had ended, at the earliest. */
  readonly killed = new Map<number, bigint>();
  readonly #children: ChildProcess[] = [];

  static async gather(size: number): Promise<Crowd> {
    const crowd = new Crowd();
    await Promise.all(Array.from({ length: size }, (_, place) => crowd.#start(place)));
    return crowd;
  }

  get size(): number {
    return this.#children.length;
  }

  async #start(place: number): Promise<void> {
    const child = fork(program, {
      execArgv: [],
      env: { ...process.env, HOLDFAST_ENTRY: entry },
    });
    this.#children[place] = child;
    await once(child, 'message');
  }

  tell(place: number, order: Order): void {
    this.#children[place]?.send({ ...order, log: this.log });
  }

  /** Kills a process and has another one take its place. */
  async replace(place: number): Promise<void> {
    const child = this.#children[place];
    if (child?.pid === undefined) return;
    this.killed.set(child.pid, process.hrtime.bigint());
    child.kill('SIGKILL');
    await once(child, 'exit');
    await this.#start(place);
  }

  signal(place: number, signal: NodeJS.Signals): void {
    this.#children[place]?.kill(signal);
  }

  /** What each has left of locks and waits, when nobody wants one any more. */
  async leftovers(): Promise<Leftovers[]> {
    const answers = this.#children.map(async (child) => {
      const answered = once(child, 'message');
      child.send({ act: 'account' });
      return (await answered)[0] as Leftovers;
    });
    return Promise.all(answers);
  }

  disperse(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}
