import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FileLockOptions, SessionWriteLockParams } from 'holdfast/session-lock';
import { afterEach } from 'vitest';

const program = fileURLToPath(new URL('../fixtures/session-holder.mjs', import.meta.url));
const entry = new URL('../../dist/session-lock/index.js', import.meta.url).href;
const running = new Set<SessionHolder>();

/** Which protocol a process follows. */
export type Kind = 'new' | 'old';

interface Answer {
  id?: number;
  value?: string;
  error?: Error;
}

/** A real process that holds sessions' locks for a test. */
export class SessionHolder {
  readonly #child: ChildProcess;
  #last = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.setMaxListeners(50);
    running.add(this);
  }

  static async start(): Promise<SessionHolder> {
    const child = fork(program, { env: { ...process.env, SESSION_ENTRY: entry } });
    await once(child, 'message');
    return new SessionHolder(child);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** The token, where there is one. */
  acquire(kind: Kind, params: SessionWriteLockParams): Promise<string | undefined> {
    return this.#ask('acquire', kind, params);
  }

  async acquireFile(file: string, options: FileLockOptions): Promise<void> {
    await this.#ask('acquireFile', file, options);
  }

  async release(): Promise<void> {
    await this.#ask('release');
  }

  /** Forgets the locks without a release. */
  async drop(): Promise<void> {
    await this.#ask('drop');
  }

  /** Adds to the number in the session file, alone. */
  async count(kind: Kind, params: SessionWriteLockParams, witness: string, times: number) {
    await this.#ask('count', kind, params, witness, times);
  }

  /** Blocks its event loop. */
  async block(ms: number): Promise<void> {
    await this.#ask('block', ms);
  }

  async kill(): Promise<void> {
    running.delete(this);
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  static async killAll(): Promise<void> {
    await Promise.all([...running].map((holder) => holder.kill()));
  }

  #ask(action: string, ...args: unknown[]): Promise<string | undefined> {
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      const onMessage = (answer: Answer) => {
        if (answer.id !== id) return;
        this.#child.off('message', onMessage).off('exit', onExit);
        if (answer.error === undefined) resolve(answer.value);
        else reject(Object.assign(new Error(answer.error.message), answer.error));
      };
      const onExit = () => reject(new Error('the holder ended'));
      this.#child.on('message', onMessage).on('exit', onExit);
      this.#child.send({ id, action, args });
    });
  }
}

afterEach(() => SessionHolder.killAll());
