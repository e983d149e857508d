import { type ChildProcess, type ForkOptions, fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';

type Library = typeof import('../../src/index.js');

/** What a function that runs in an actor gets first; the rest are the arguments it was sent. */
export interface Stage {
  holdfast: Library;
  // biome-ignore lint/suspicious/noExplicitAny: whatever functions of one actor share with each other
  kept: Record<string, any>;
  emit(event: string, value?: unknown): void;
}

const program = fileURLToPath(new URL('../fixtures/actor.mjs', import.meta.url));
const entry = new URL('../../dist/index.js', import.meta.url).href;
const actors = new Set<Actor>();

interface Answer {
  id?: number;
  event?: string;
  value?: unknown;
  error?: NodeJS.ErrnoException;
}

type ForkedAs = Pick<ForkOptions, 'execPath' | 'execArgv' | 'env' | 'uid' | 'gid' | 'cwd'>;

export interface ActorOptions extends ForkedAs {
  /** Whether what it writes on its way out is of no interest. */
  quiet?: boolean;
}

/** A real process that runs functions for a test. */
export class Actor {
  readonly events = new EventEmitter();
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  #last = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = once(child, 'exit');
    child.on('message', (answer: Answer) => {
      if (answer.event !== undefined) this.events.emit(answer.event, answer.value);
      else this.#answers.get(answer.id ?? 0)?.(answer);
    });
    child.on('exit', (code, signal) => {
      const error = { name: 'Error', message: `the actor ended with ${signal ?? code}` };
      for (const answer of this.#answers.values()) answer({ error });
    });
  }

  static async start(options: ActorOptions = {}): Promise<Actor> {
    const { quiet, ...forkedAs } = options;
    const child = fork(program, {
      ...forkedAs,
      execArgv: options.execArgv ?? [],
      env: { ...process.env, HOLDFAST_ENTRY: entry, ...options.env },
      stdio: ['ignore', 'inherit', quiet ? 'ignore' : 'inherit', 'ipc'],
    });
    const actor = new Actor(child);
    actors.add(actor);
    await Promise.race([
      once(actor.events, 'ready'),
      actor.#exited.then(() => Promise.reject(new Error('the actor did not start'))),
    ]);
    return actor;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Runs a function in the process. It sees nothing of the test but its arguments. */
  run<Args extends unknown[], Result>(
    fn: (stage: Stage, ...args: Args) => Result,
    ...args: Args
  ): Promise<Awaited<Result>> {
    this.#last += 1;
    const id = this.#last;
    const answered = new Promise<Awaited<Result>>((resolve, reject) => {
      this.#answers.set(id, ({ error, value }) => {
        this.#answers.delete(id);
        if (error === undefined) resolve(value as Awaited<Result>);
        else reject(Object.assign(new Error(error.message), error));
      });
      this.#child.send({ id, source: fn.toString(), args });
    });
    // A test that failed before it awaited this has said so, and may be tried again.
    answered.catch(() => {});
    return answered;
  }

  /** The next event that the process emits under this name. */
  async next(event: string): Promise<unknown> {
    const [value] = await once(this.events, event);
    return value;
  }

  /** Sends a signal and waits until the process has ended. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    await this.#exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  static async killAll(): Promise<void> {
    await Promise.all([...actors].map((actor) => actor.kill()));
    actors.clear();
  }
}

afterEach(() => Actor.killAll());
