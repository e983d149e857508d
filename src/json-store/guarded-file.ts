import { mkdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FileLock, type LockOptions, withLock } from '../index.js';
import { removeLeftovers } from './temporary-file.js';

/** What the stores can be told about their lock. */
export interface StoreLockOptions
  extends Pick<LockOptions, 'timeout' | 'lease' | 'leakCheck' | 'label' | 'lockPath'> {}

/** What works on the file while it is locked. */
export type Guarded<T> = (path: string, lock: FileLock) => Promise<T>;

/** A file and its lock. */
export class GuardedFile {
  readonly #file: string;
  readonly #options: StoreLockOptions;
  #lastToken = 0n;
  #looked = false;

  constructor(file: string | URL, options: StoreLockOptions) {
    this.#file = resolve(file instanceof URL ? fileURLToPath(file) : file);
    const { timeout, lease, leakCheck, label, lockPath } = options;
    this.#options = { timeout, lease, leakCheck, label, lockPath };
  }

  /** The path without symbolic links: all spellings have one lock, and a link is not replaced. */
  async path(): Promise<string> {
    try {
      return await realpath(this.#file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    try {
      return join(await realpath(dirname(this.#file)), basename(this.#file));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return this.#file;
    }
  }

  /** Runs a function while the file is locked; its folder is made where there is none. */
  async exclusively<T>(fn: Guarded<T>): Promise<T> {
    await mkdir(dirname(this.#file), { recursive: true });
    const path = await this.path();
    const options = { ...this.#options, reentrant: true, minToken: this.#lastToken };
    return withLock(path, options, async (lock) => {
      if (lock.token !== undefined && lock.token > this.#lastToken) this.#lastToken = lock.token;
      // Before anything is read: from here on, a writer that lost the lock finds nothing to rename.
      if (lock.previousHolder || !this.#looked) {
        await removeLeftovers(path, lock);
        this.#looked = true;
      }
      return fn(path, lock);
    });
  }
}
