import { type BigIntStats, constants, fstatSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FileLock } from '../index.js';
import { JsonChangedError, unusable } from './errors.js';
import { GuardedFile, type StoreLockOptions } from './guarded-file.js';
import { readLines } from './json-lines.js';
import { parseJson, toJson } from './json-text.js';
import { type LastLine, lastLine } from './last-line.js';
import { assertNewest, replaceFile } from './replace-file.js';
import { retryBusy } from './retry-busy.js';
import { shorten } from './shorten.js';
import { assertSchema, type StandardSchema, validate } from './standard-schema.js';
import { syncData } from './sync.js';
import { closeSynced, synced } from './temporary-file.js';

/** What `jsonlStore` can be told; the options of the lock are those of `withLock`. */
export interface JsonlStoreOptions<T> extends StoreLockOptions {
  /** What each entry must be, checked at each read and before each write. Default: anything. */
  schema?: StandardSchema<T> | undefined;
  /** Told the torn line that a crash left at the end, before it is cut off; when this throws, nothing is. */
  onTorn?: ((line: string) => void) | undefined;
}

/** Makes the entries that are to stay from those that are there. */
export type Compaction<T> = (
  entries: T[],
  lock: FileLock,
) => Iterable<T> | PromiseLike<Iterable<T>>;

/** A file of JSON lines that several processes append to. Made by `jsonlStore`. */
export class JsonlStore<T> {
  readonly #file: GuardedFile;
  readonly #options: JsonlStoreOptions<T>;

  /** @internal */
  constructor(file: string | URL, options: JsonlStoreOptions<T>) {
    this.#file = new GuardedFile(file, options, ['schema', 'onTorn']);
    assertSchema(options.schema);
    if (options.onTorn !== undefined && typeof options.onTorn !== 'function') {
      throw unusable('onTorn must be a function');
    }
    this.#options = options;
  }

  /**
   * Appends one entry, or all of an array, with one write under the lock. When this is done, they
   * have reached the disk. A torn line that a crash left at the end is cut off first.
   *
   * @param entries an array is a list of entries; an entry that is an array itself goes into one.
   * @throws {LockLostError} (`ERR_LOCK_LOST`, `ERR_LOCK_EXPIRED`) when the lock was lost meanwhile.
   * @throws {LockTimeoutError} (`ERR_LOCK_TIMEOUT`) when `timeout` ms are over.
   * @throws {LockDeadlockError} (`EDEADLK`) when the wait for the lock could never end.
   * @throws {LockError} (`ERR_LOCK_FOREIGN_FILE`, `ERR_LOCK_NOT_REGULAR`) when the lock file is not one.
   * @throws {JsonChangedError} (`ERR_JSON_CHANGED`) when the file was changed meanwhile.
   * @throws {JsonSchemaError} (`ERR_JSON_SCHEMA`) when the schema refuses an entry.
   * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) when an entry has no JSON, or an option of the lock cannot
   *   be used.
   * @throws whatever `onTorn` or the schema throws.
   * @throws {Error} with Node's shape when the operating system refuses; nothing was appended then,
   *   unless `syscall` says that only the unlocking failed.
   */
  async append(entries: T | readonly T[]): Promise<void> {
    const list: readonly T[] = Array.isArray(entries) ? entries : [entries as T];
    await this.#file.exclusively(async (path, lock) => {
      const lines = Buffer.from(await this.#toLines(list, path));
      if (lines.length === 0) return;
      const { O_RDWR, O_APPEND, O_CREAT } = constants;
      const handle = await retryBusy(() => open(path, O_RDWR | O_APPEND | O_CREAT, 0o600));
      try {
        const { size } = await handle.stat();
        const last = await lastLine(handle, size);
        await assertNewest(path, lock);
        const end = this.#appendTo(handle, lock, lines, last, path);
        // Whoever died may have made or replaced the file, and not yet synced its folder.
        const isNameOnDisk = size > 0 && !lock.previousHolder;
        try {
          if (isNameOnDisk) await syncData(handle.fd);
          else await synced(dirname(path), () => syncData(handle.fd));
        } catch (error) {
          takeBack(path, handle.fd, lock, end);
          throw error;
        }
      } finally {
        await closeSynced(handle);
      }
    });
  }

  /**
   * The entries that were there when it began, without the lock. A torn line at the end is not among
   * them. The file is read piece by piece.
   *
   * @throws {JsonFileError} (`ERR_JSON_FILE`) at a line that is not JSON.
   * @throws {JsonSchemaError} (`ERR_JSON_SCHEMA`) at an entry that the schema refuses.
   * @throws {Error} with Node's shape, `ENOENT` when there is no file.
   */
  async *read(): AsyncGenerator<T, void, undefined> {
    const path = await this.#file.path();
    const handle = await retryBusy(() => open(path, 'r'));
    try {
      yield* this.#entries(handle, path);
    } finally {
      await handle.close();
    }
  }

  /**
   * Replaces all entries by those that the function makes from them. Readers and a crash find the old
   * file or the new one, whole.
   *
   * @throws whatever the function or the schema throws; a `TypeError` when it does not give entries.
   * @throws {LockLostError} (`ERR_LOCK_LOST`, `ERR_LOCK_EXPIRED`) when the lock was lost meanwhile.
   * @throws {LockTimeoutError} (`ERR_LOCK_TIMEOUT`) when `timeout` ms are over.
   * @throws {LockDeadlockError} (`EDEADLK`) when the wait for the lock could never end.
   * @throws {LockError} (`ERR_LOCK_FOREIGN_FILE`, `ERR_LOCK_NOT_REGULAR`) when the lock file is not one.
   * @throws {JsonChangedError} (`ERR_JSON_CHANGED`) when the file was changed meanwhile.
   * @throws {JsonFileError} (`ERR_JSON_FILE`) at a line that is not JSON.
   * @throws {JsonSchemaError} (`ERR_JSON_SCHEMA`) when the schema refuses an entry.
   * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) when an entry has no JSON, or an option of the lock cannot
   *   be used.
   * @throws {Error} with Node's shape, `ENOENT` when there is no file.
   */
  async compact(compaction: Compaction<T>): Promise<void> {
    await this.#file.exclusively(async (path, lock) => {
      const { entries, version } = await this.#readAll(path);
      const text = await this.#toLines(await compaction(entries, lock), path);
      await replaceFile({ path, lock, basis: version, write: (handle) => handle.writeFile(text) });
    });
  }

  async #readAll(path: string): Promise<{ entries: T[]; version: BigIntStats }> {
    const handle = await retryBusy(() => open(path, 'r'));
    try {
      const version = await handle.stat({ bigint: true });
      const entries: T[] = [];
      for await (const entry of this.#entries(handle, path)) entries.push(entry);
      return { entries, version };
    } finally {
      await handle.close();
    }
  }

  // Up to the end of the last whole line, which nobody changes: what is behind it may be half
  // written at this moment, or cut off at the next.
  async *#entries(handle: FileHandle, path: string): AsyncGenerator<T, void, undefined> {
    const { size } = await handle.stat();
    const last = await lastLine(handle, size);
    const end = last.whole ? size : last.start;
    let number = 0;
    for await (const line of readLines(handle, end)) {
      number += 1;
      if (isBlank(line)) continue;
      const value = parseJson(line, path, number);
      yield await validate(this.#options.schema, value, path, 'holds');
    }
  }

  async #toLines(entries: Iterable<T>, path: string): Promise<string> {
    const lines: string[] = [];
    for (const entry of entries) {
      const line = `${toJson(entry, path)}\n`;
      await validate(this.#options.schema, JSON.parse(line), path, 'would get');
      lines.push(line);
    }
    return lines.join('');
  }

  #appendTo(handle: FileHandle, lock: FileLock, lines: Buffer, last: LastLine, path: string) {
    const { fd } = handle;
    const missesEnd = last.whole && last.text.length > 0;
    const bytes = missesEnd ? Buffer.concat([Buffer.from('\n'), lines]) : lines;
    // Before anything is written: when this throws, neither the torn line nor the entry is lost.
    if (!last.whole) this.#options.onTorn?.(last.text.toString());
    // All synchronous from here, with a whole lease: neither a busy event loop nor the thread pool comes
    // in between, nor the end of a lease that is longer than this takes.
    lock.renew();
    const { size, nlink } = fstatSync(fd);
    if (size !== last.end || nlink === 0) throw new JsonChangedError(path);
    if (!last.whole) shorten(path, fd, last.start);
    const from = last.whole ? last.end : last.start;
    writeWhole(path, fd, bytes, from);
    return { from, to: from + bytes.length };
  }
}

function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte <= 0x20);
}

// A disk that is full takes a part: that part must not stay. Not every runtime tells of one.
function writeWhole(path: string, fd: number, bytes: Buffer, before: number): void {
  let done = 0;
  try {
    while (done < bytes.length) done += writeSync(fd, bytes, done);
  } catch (error) {
    if (fstatSync(fd).size > before) shorten(path, fd, before);
    throw error;
  }
}

// What did not reach the disk was not appended, or whoever tries again appends it twice. It is left where
// somebody else may have appended since.
function takeBack(
  path: string,
  fd: number,
  lock: FileLock,
  { from, to }: { from: number; to: number },
): void {
  try {
    if (lock.held && fstatSync(fd).size === to) shorten(path, fd, from);
  } catch {}
}

/**
 * A file of JSON lines, one entry a line, that several processes append to without tearing or losing
 * an entry. Appending costs the same however long the file is.
 *
 * @param filePath the file, or its `file:` URL; it need not exist. Its lock file stands beside it.
 * @returns the store. Nothing is opened, and no lock taken, before it is used.
 * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) for an empty path, and for options that do not exist or are
 *   not those of the lock and cannot be used; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_URL_SCHEME` and the like for what is no path.
 *
 * @example The transcript of a chat
 * ```ts
 * import { jsonlStore } from 'holdfast/json-store';
 *
 * const session = jsonlStore<{ role: string; text: string }>('sessions/a.jsonl');
 * await session.append({ role: 'user', text: 'hello' });
 * for await (const { role, text } of session.read()) console.log(role, text);
 * ```
 */
export function jsonlStore<T>(
  filePath: string | URL,
  options: JsonlStoreOptions<T> = {},
): JsonlStore<T> {
  return new JsonlStore(filePath, options);
}
