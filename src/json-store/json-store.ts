import { type BigIntStats, renameSync, unlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FileLock } from '../index.js';
import { JsonFileError, unusable } from './errors.js';
import { GuardedFile, type StoreLockOptions } from './guarded-file.js';
import { parseJson, toJson } from './json-text.js';
import { assertNewest, replaceFile, type Version } from './replace-file.js';
import { retryBusy } from './retry-busy.js';
import { assertSchema, type StandardSchema, validate } from './standard-schema.js';
import { synced, tokenOf } from './temporary-file.js';

/** What `jsonStore` can be told; the options of the lock are those of `withLock`. */
export interface JsonStoreOptions<T> extends StoreLockOptions {
  /** What the value must be, checked at each read and before each write. Default: anything. */
  schema?: StandardSchema<T> | undefined;
  /**
   * What happens to a file that is not JSON: `'error'` (the default) leaves it as it is, `'backup'`
   * moves it aside to `<file>.corrupt-<time>-<token>`.
   */
  onCorrupt?: 'error' | 'backup' | undefined;
  /** Spaces to indent by, from 0 to 10. Default 2; 0 writes one line. */
  indent?: number | undefined;
}

/** Makes the next value from the current one; it may renew or check the lock. */
export type Change<T> = (value: T, lock: FileLock) => T | PromiseLike<T>;

// The common slip is to change a value in place and to return nothing.
const adviceForUpdates = ' (an update writes what its function returns)';

const defaultIndent = 2;
const mostSpaces = 10;

function assertUsable({
  schema,
  onCorrupt = 'error',
  indent = defaultIndent,
}: JsonStoreOptions<unknown>): void {
  assertSchema(schema);
  if (onCorrupt !== 'error' && onCorrupt !== 'backup') {
    throw unusable("onCorrupt must be 'error' or 'backup'");
  }
  // JSON.stringify takes other things too, and would write what is not JSON.
  if (!Number.isInteger(indent) || indent < 0 || indent > mostSpaces) {
    throw unusable(`indent must be a whole number from 0 to ${mostSpaces}`);
  }
}

interface Loaded<T> {
  readonly value: T;
  readonly version: BigIntStats;
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

function removeIfThere(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function isMovedAside(error: unknown): boolean {
  return error instanceof JsonFileError && error.backup !== null;
}

/** A JSON file that several processes read and change. Made by `jsonStore`. */
export class JsonStore<T> {
  readonly #file: GuardedFile;
  readonly #options: JsonStoreOptions<T>;

  /** @internal */
  constructor(file: string | URL, options: JsonStoreOptions<T>) {
    this.#file = new GuardedFile(file, options, ['schema', 'onCorrupt', 'indent']);
    assertUsable(options);
    this.#options = options;
  }

  /**
   * The value, without the lock: it is never half written.
   *
   * @throws {JsonFileError} (`ERR_JSON_FILE`) when the file is not JSON. With `onCorrupt: 'backup'` the lock
   *   is taken to move it, which may fail as for `update`.
   * @throws {JsonSchemaError} (`ERR_JSON_SCHEMA`) when the schema refuses the value.
   * @throws {Error} with Node's shape, `ENOENT` when there is no file.
   */
  async read(): Promise<T> {
    const path = await this.#file.path();
    try {
      return (await this.#load(path)).value;
    } catch (error) {
      if (!this.#isToBeMoved(error)) throw error;
    }
    // Moved aside under the lock only: meanwhile somebody may have written a good one.
    return this.#file.exclusively(async (path, lock) => (await this.#loadOrMove(path, lock)).value);
  }

  /**
   * As `read`, with a value for when there is no file or it was moved aside: a copy of the fallback.
   *
   * @throws {JsonFileError} (`ERR_JSON_FILE`) when the file is not JSON and stays where it is.
   * @throws {JsonSchemaError} (`ERR_JSON_SCHEMA`) when the schema refuses the value.
   * @throws {DOMException} (`DataCloneError`) when the fallback is needed and cannot be copied.
   * @throws {Error} with Node's shape when the operating system refuses.
   */
  async readOr(fallback: T): Promise<T> {
    try {
      return await this.read();
    } catch (error) {
      if (isMissing(error) || isMovedAside(error)) return structuredClone(fallback);
      throw error;
    }
  }

  /**
   * Reads, changes and writes the value under the lock. When this is done, the new value has reached
   * the disk. When it rejects, the old one is still there, unless the system failed only after the
   * new one was published: it could not sync the folder, or not unlock.
   *
   * @returns the new value.
   * @throws whatever the function or the schema throws.
   * @throws {LockLostError} (`ERR_LOCK_LOST`, `ERR_LOCK_EXPIRED`) when the lock was lost meanwhile.
   * @throws {LockTimeoutError} (`ERR_LOCK_TIMEOUT`) when `timeout` ms are over.
   * @throws {LockDeadlockError} (`EDEADLK`) when the wait for the lock could never end.
   * @throws {LockError} (`ERR_LOCK_FOREIGN_FILE`, `ERR_LOCK_NOT_REGULAR`) when the lock file is not one.
   * @throws {JsonChangedError} (`ERR_JSON_CHANGED`) when the file was changed meanwhile.
   * @throws {JsonFileError} (`ERR_JSON_FILE`) when the file is not JSON.
   * @throws {JsonSchemaError} (`ERR_JSON_SCHEMA`) when the schema refuses the old or the new value.
   * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) when the new value has no JSON, or an option of the lock
   *   cannot be used.
   * @throws {Error} with Node's shape, `ENOENT` when there is no file.
   */
  update(change: Change<T>): Promise<T> {
    return this.#file.exclusively(async (path, lock) => {
      const { value, version } = await this.#loadOrMove(path, lock);
      return this.#write(path, lock, await change(value, lock), version);
    });
  }

  /**
   * As `update`, with a value to start from when there is no file or it was moved aside: a copy of
   * `initial`, which the function may change.
   *
   * @returns the new value.
   * @throws what `update` throws, except for a missing file; a `DOMException` (`DataCloneError`) when
   *   `initial` is needed and cannot be copied.
   */
  updateOr(initial: T, change: Change<T>): Promise<T> {
    return this.#file.exclusively(async (path, lock) => {
      const loaded = await this.#loadOrMove(path, lock).catch((error) => {
        if (isMissing(error) || isMovedAside(error)) return null;
        throw error;
      });
      const value = loaded === null ? structuredClone(initial) : loaded.value;
      const next = await change(value, lock);
      return this.#write(path, lock, next, loaded?.version ?? null);
    });
  }

  /**
   * Writes a value, whatever was there before.
   *
   * @throws what `update` throws, except for what is wrong with the old file.
   */
  async write(value: T): Promise<void> {
    await this.#file.exclusively((path, lock) => this.#write(path, lock, value, undefined));
  }

  /**
   * Deletes the file; its lock file stays.
   *
   * @returns whether there was one.
   * @throws {LockLostError} (`ERR_LOCK_LOST`, `ERR_LOCK_EXPIRED`) when the lock was lost meanwhile.
   * @throws {LockTimeoutError} (`ERR_LOCK_TIMEOUT`) when `timeout` ms are over.
   * @throws {LockDeadlockError} (`EDEADLK`) when the wait for the lock could never end.
   * @throws {LockError} (`ERR_LOCK_FOREIGN_FILE`, `ERR_LOCK_NOT_REGULAR`) when the lock file is not one.
   * @throws {Error} with Node's shape when the operating system refuses.
   */
  delete(): Promise<boolean> {
    return this.#file.exclusively(async (path, lock) => {
      await assertNewest(path, lock);
      const remove = () => {
        lock.renew();
        return removeIfThere(path);
      };
      return synced(dirname(path), () => retryBusy(remove));
    });
  }

  async #load(path: string): Promise<Loaded<T>> {
    const handle = await retryBusy(() => open(path, 'r'));
    try {
      const version = await handle.stat({ bigint: true });
      const value = parseJson(await handle.readFile(), path);
      return { value: await validate(this.#options.schema, value, path, 'holds'), version };
    } finally {
      await handle.close();
    }
  }

  async #loadOrMove(path: string, lock: FileLock): Promise<Loaded<T>> {
    try {
      return await this.#load(path);
    } catch (error) {
      if (!this.#isToBeMoved(error)) throw error;
      const time = new Date().toISOString().replaceAll(':', '-');
      const backup = `${path}.corrupt-${time}-${tokenOf(lock)}`;
      const moveAside = () => {
        lock.renew();
        renameSync(path, backup);
      };
      await synced(dirname(path), () => retryBusy(moveAside));
      const { line, column, reason } = error;
      throw new JsonFileError(path, { line, column }, reason, backup);
    }
  }

  #isToBeMoved(error: unknown): error is JsonFileError {
    return this.#options.onCorrupt === 'backup' && error instanceof JsonFileError;
  }

  async #write(path: string, lock: FileLock, value: T, basis: Version | undefined): Promise<T> {
    const { schema, indent = defaultIndent } = this.#options;
    const text = toJson(value, path, indent, adviceForUpdates);
    // What a reader would refuse is not written.
    await validate(schema, JSON.parse(text), path, 'would get');
    await replaceFile({
      path,
      lock,
      basis,
      write: (handle) => handle.writeFile(`${text}\n`),
    });
    return value;
  }
}

/**
 * A JSON file that several processes read and change without losing an update and without anybody
 * seeing it half written, not even after a crash.
 *
 * @param filePath the file, or its `file:` URL; it need not exist. Its lock file stands beside it.
 * @returns the store. Nothing is opened, and no lock taken, before it is used.
 * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) for an empty path, and for options that do not exist or are
 *   not those of the lock and cannot be used; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_URL_SCHEME` and the like for what is no path.
 *
 * @example Count the runs of a program
 * ```ts
 * import { jsonStore } from 'holdfast/json-store';
 *
 * const state = jsonStore<{ runs: number }>('state.json', { timeout: 10_000 });
 * const { runs } = await state.updateOr({ runs: 0 }, ({ runs }) => ({ runs: runs + 1 }));
 * console.log(`run ${runs}`);
 * ```
 */
export function jsonStore<T>(
  filePath: string | URL,
  options: JsonStoreOptions<T> = {},
): JsonStore<T> {
  return new JsonStore(filePath, options);
}
