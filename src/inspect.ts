import type { BigIntStats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import type { LockErrorDetails } from './errors.js';
import { lookAsWriterFlags, lookFlags } from './find-holders.js';
import { unseenAt } from './find-queue.js';
import { type HolderRecord, parseHolderRecord, recordBytes } from './holder-record.js';
import { attribute, isAlive, type LockHolder } from './lock-holder.js';
import { addon, status } from './native.js';
import { toRequest } from './options.js';
import { freshKernelLocks, heirOf } from './proc-locks.js';
import { isRemotePath } from './remote-path.js';
import { errorFrom, lockCall, systemError } from './system-error.js';

/** What `inspect` can be told. */
export interface InspectOptions {
  /** The exact lock file, instead of `<resource>.flock`. */
  lockPath?: string | undefined;
}

/** How a lock was at one moment; by the time it is read it may be otherwise. */
export interface LockStatus {
  /** The lock file. */
  lockPath: string;
  /** `missing` when there is no lock file; as good as free. */
  state: 'free' | 'exclusive' | 'shared' | 'missing';
  /** The first of `holders`, or null. */
  holder: LockHolder | null;
  /** All who are known to hold the lock; empty where nothing tells (shared holders are known on Linux only). */
  holders: LockHolder[];
  /** For how long the lock has been held, in ms; null where no record says it. */
  ageMs: number | null;
  /**
   * Linux only: how many wait on this machine. Each waiting thread of another process counts as one. Absent
   * on a network file system where none is seen: those on other machines are not.
   */
  waiters?: number;
  /** Whether the last exclusive holder crashed, was killed or lost its lease: it never marked its release. */
  crashed: boolean;
  /** The record of that holder, where `crashed`. */
  previousHolder: HolderRecord | null;
}

/**
 * Tells how a lock is held and by whom, without waiting, without creating or writing anything.
 *
 * The kernel is asked first; where it does not tell, the lock is tried for about a microsecond, in
 * which a `tryLock` elsewhere may find it held. The holder record only adds to what that shows.
 *
 * @param resource the guarded path, or its `file:` URL.
 * @returns how it was at that moment; a missing file or folder is no error.
 * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) for arguments it cannot use, and for options that do not
 *   exist; a URL that is no path has one of Node's codes (`ERR_INVALID_URL_SCHEME` and the like).
 * @throws {LockError} (`ERR_LOCK_NOT_REGULAR`) when the lock file is not a regular file.
 * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when the operating system refuses.
 *
 * @example Say who is at it
 * ```ts
 * import { inspect } from 'holdfast';
 *
 * const { state, holder } = await inspect('sessions/a.jsonl');
 * if (state === 'exclusive') console.log(`pid ${holder?.pid}: ${holder?.label}`);
 * ```
 */
export async function inspect(
  resource: string | URL,
  options?: InspectOptions,
): Promise<LockStatus> {
  const { resource: path, lockPath } = toRequest(resource, options);
  return inspectLockFile({ resource: path, lockPath });
}

// Holders may change between two looks at them; who is looked for in vain this often changes all the time.
const mostLooks = 5;

/** As `inspect`, for a lock file. */
export async function inspectLockFile(details: LockErrorDetails): Promise<LockStatus> {
  const { lockPath } = details;
  const file = await openToLook(details);
  if (file === null)
    return statusOf(lockPath, { state: 'missing', holders: [], previousHolder: null });
  try {
    let before: Sight | null = null;
    for (let looks = 1; ; looks += 1) {
      const sight = await look(file, details);
      if (isCertain(sight, before)) return statusOf(lockPath, sight);
      if (looks === mostLooks) return statusOf(lockPath, lessDoubts(sight));
      before = sight;
    }
  } finally {
    await file.handle?.close();
  }
}

interface Opened {
  /** Null when this process may not read the file. */
  readonly handle: FileHandle | null;
  readonly stats: BigIntStats;
  readonly refusal: unknown;
}

async function openToLook(details: LockErrorDetails): Promise<Opened | null> {
  const { lockPath } = details;
  let refusal: unknown = null;
  let handle: FileHandle | null = null;
  try {
    handle = await openReadable(lockPath);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    // A link, a socket.
    if (code === 'ELOOP' || code === 'ENXIO') throw errorFrom(status.notRegular, details);
    if (code !== 'EACCES') throw error;
    refusal = error;
  }
  try {
    const stats = await (handle?.stat({ bigint: true }) ?? stat(lockPath, { bigint: true }));
    if (!stats.isFile()) throw errorFrom(status.notRegular, details);
    return { handle, stats, refusal };
  } catch (error) {
    await handle?.close();
    throw error;
  }
}

async function openReadable(lockPath: string): Promise<FileHandle> {
  if (!isRemotePath(lockPath)) return open(lockPath, lookFlags);
  try {
    // NFS keeps exclusive locks only for descriptors that could write.
    return await open(lockPath, lookAsWriterFlags);
  } catch {
    return open(lockPath, lookFlags);
  }
}

interface Sight {
  state: LockStatus['state'];
  holders: LockHolder[];
  waiters?: number;
  previousHolder: HolderRecord | null;
  record: HolderRecord | null;
  /** Whether nothing but attempts shows sharers: an exclusive holder who left between two looks the same. */
  guessed: boolean;
  /** Whether the kernel's list does not have the exclusive holder: it leaves one out now and then. */
  unlisted: boolean;
}

// Each exclusive holder changes the record when it comes and when it goes. So what is seen again with the
// same record was there all the time: a crash, and not the record of somebody who came after the kernel
// was asked, and sharers.
function isCertain(sight: Sight, before: Sight | null): boolean {
  const { previousHolder, guessed, unlisted, record } = sight;
  if (previousHolder === null && !guessed && !unlisted) return true;
  if (before === null || !isSame(record, before.record)) return false;
  return (!guessed || before.guessed) && (!unlisted || before.unlisted);
}

// At the moment of the last attempt there was no exclusive holder, and nothing else is known of it.
function lessDoubts(sight: Sight): Sight {
  return { ...sight, previousHolder: null, state: sight.guessed ? 'free' : sight.state };
}

async function look(file: Opened, { lockPath }: LockErrorDetails): Promise<Sight> {
  const { handle, stats } = file;
  const locks = await freshKernelLocks();
  const kernel = locks?.about(handle?.fd ?? null, stats) ?? null;
  const told = kernel?.holders[0]?.mode;
  const state = told ?? (await probe(file, lockPath));
  const record = handle === null ? null : await readRecord(handle);
  const attribution = attribute(state, record, kernel, (lock, view) =>
    isAlive(lock.pid) ? lock.pid : (heirOf(lock, view) ?? lock.pid),
  );
  const guessed = told === undefined && state === 'shared';
  const unlisted = told === undefined && state === 'exclusive' && kernel !== null;
  const sight = { state, guessed, unlisted, record, ...attribution };
  if (kernel === null) return sight;
  const waiters = kernel.waiters + unseenAt(lockPath);
  // Those on other machines are not to be seen, nor on NFS those of this one, who ask again and again.
  return waiters === 0 && isRemotePath(lockPath) ? sight : { ...sight, waiters };
}

const probed = ['free', 'exclusive', 'shared'] as const;

async function probe({ handle, refusal }: Opened, lockPath: string) {
  if (handle === null) throw refusal;
  const answer = await addon.probe(handle.fd);
  const state = probed[answer];
  if (state === undefined) throw systemError(answer, lockCall, lockPath);
  return state;
}

async function readRecord(handle: FileHandle): Promise<HolderRecord | null> {
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(recordBytes), 0, recordBytes, 0);
    return parseHolderRecord(buffer.toString('utf8', 0, bytesRead));
  } catch (error) {
    // Windows lets nobody read what another program has locked as a whole.
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
    return null;
  }
}

function isSame(one: HolderRecord | null, other: HolderRecord | null): boolean {
  return one?.token === other?.token && one?.since === other?.since && one?.state === other?.state;
}

function statusOf(
  lockPath: string,
  sight: Pick<Sight, 'state' | 'holders' | 'waiters' | 'previousHolder'>,
): LockStatus {
  const { state, holders, waiters, previousHolder } = sight;
  const [holder = null] = holders;
  return {
    lockPath,
    state,
    holder,
    holders,
    ageMs: holder === null || holder.since === null ? null : Math.max(0, Date.now() - holder.since),
    ...(waiters === undefined ? {} : { waiters }),
    crashed: previousHolder !== null,
    previousHolder,
  };
}
