import { mkdir, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FileLock, type LockOptions, withLock } from '../index.js';
import { unusable } from './errors.js';
import { removeLeftovers } from './temporary-file.js';

/** What the stores can be told about their lock. */
export interface StoreLockOptions
  extends Pick<LockOptions, 'timeout' | 'lease' | 'leakCheck' | 'label' | 'lockPath'> {}

/** What works on the file while it is locked. */
export type Guarded<T> = (path: string, lock: FileLock) => Promise<T>;

const lockOptions = ['timeout', 'lease', 'leakCheck', 'label', 'lockPath'];

// A misspelled one would be as good as none.
function assertKnown(options: object, own: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw unusable('options must be an object');
  const known = [...lockOptions, ...own];
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && !known.includes(name)) {
      throw unusable(`there is no option ${name}: there are ${known.join(', ')}`);
    }
  }
}

function toPath(file: string | URL): string {
  // Which would be the working directory.
  if (file === '') throw unusable('the path of a file must not be empty');
  return resolve(typeof file === 'string' ? file : fileURLToPath(file));
}

async function unlessMissing(path: Promise<string>): Promise<string | null> {
  try {
    return await path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return null;
  }
}

async function withoutLinks(file: string): Promise<string> {
  const found = await unlessMissing(realpath(file));
  if (found !== null) return found;
  const folder = await unlessMissing(realpath(dirname(file)));
  if (folder === null) return file;
  const path = join(folder, basename(file));
  // A link to what will be made only now. In a circle of links realpath() has failed before.
  const target = await readlink(path).catch(() => null);
  return target === null ? path : withoutLinks(resolve(folder, target));
}

/** A file and its lock. */
export class GuardedFile {
  readonly #file: string;
  readonly #options: StoreLockOptions;
  #lastToken = 0n;
  #looked = false;

  /** The store has further options of its own. */
  constructor(file: string | URL, options: StoreLockOptions, own: readonly string[]) {
    this.#file = toPath(file);
    assertKnown(options, own);
    const { timeout, lease, leakCheck, label, lockPath } = options;
    this.#options = { timeout, lease, leakCheck, label, lockPath };
  }

  /** The path without symbolic links: all spellings have one lock, and a link is not replaced. */
  path(): Promise<string> {
    return withoutLinks(this.#file);
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
