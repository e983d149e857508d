import { AsyncLocalStorage } from 'node:async_hooks';
import { type FileLock, type LockOptions, lock, openScope, withLock } from 'holdfast';
import type { Party } from './lock-model.js';

/** A request that the model knows of, and what the library has made of it so far. */
export class Asked {
  readonly party: Party;
  readonly controller = new AbortController();
  lock: FileLock | undefined;
  /** What the request was refused with, or what its scope was told of the loss. */
  error: unknown;
  /** Runs something as a part of its scope. */
  inside: (<T>(fn: () => T) => T) | undefined;
  /** Ends its scope, where that is not for `release()` alone. */
  finish: (() => void) | undefined;
  /** Granted as far as the model knows, but maybe given up in the moment before. */
  givenUp = false;
  /** Whether its grant has been looked at. */
  checked = false;

  constructor(party: Party) {
    this.party = party;
  }

  /** Waits for a lock. */
  wait(path: string, options: LockOptions): void {
    lock(path, options).then(
      (granted) => {
        this.lock = granted;
      },
      (error) => this.#fail(error),
    );
  }

  /** Waits for it, and is its scope afterwards. */
  async open(path: string, options: LockOptions): Promise<void> {
    try {
      this.lock = await openScope(lock(path, options));
      this.inside = AsyncLocalStorage.snapshot();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Waits for it and holds it until its scope ends. */
  enter(path: string, options: LockOptions): void {
    const finished = new Promise<void>((resolve) => {
      this.finish = resolve;
    });
    const scope = (granted: FileLock) => {
      this.lock = granted;
      this.inside = AsyncLocalStorage.snapshot();
      return finished;
    };
    withLock(path, options, scope).catch((error) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.error = error;
  }
}
