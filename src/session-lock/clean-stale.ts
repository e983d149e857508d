import { readdir, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { inspect, printable, tryLock } from '../index.js';
import { isAlive } from './process.js';

/** How the lock of one session is. */
export interface SessionLockInspection {
  lockPath: string;
  /** Of who holds it, or held it last and never released it; null where nothing tells. */
  pid: number | null;
  pidAlive: boolean;
  /** When the lock was taken, in ISO 8601. */
  createdAt: string | null;
  /** How long ago it was taken, in ms. */
  ageMs: number | null;
  /** Whether its holder never released it and nobody holds it now. */
  stale: boolean;
  /** `dead-pid` or `lost` (its process lives, but lost the lock) where it is stale, else nothing. */
  staleReasons: string[];
  /** Whether this call removed the lock file. */
  removed: boolean;
}

/** The locks of a folder. */
export interface SessionLocks {
  locks: SessionLockInspection[];
  /** Those of them that were removed. */
  cleaned: SessionLockInspection[];
}

/** What `cleanStaleLockFiles` can be told. */
export interface CleanParams {
  sessionsDir: string;
  /** Accepted for old call sites and without effect: age says nothing about a lock. */
  staleMs?: number | undefined;
  /** Default true; false only looks. */
  removeStale?: boolean | undefined;
  /** The time to which ages are told, in ms since 1970. Default: now. */
  nowMs?: number | undefined;
  /** Told what was removed. */
  log?: { warn?: (message: string) => void; info?: (message: string) => void } | undefined;
}

const suffix = '.jsonl.flock';

async function lockFilesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    // A folder or a link of that name is no lock, and must not keep the others from being looked at.
    const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(suffix));
    return files.map(({ name }) => name).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function look(lockPath: string, nowMs: number): Promise<SessionLockInspection> {
  const { state, holder, previousHolder } = await inspect(lockPath, { lockPath });
  const held = state === 'exclusive' || state === 'shared';
  const owner = holder ?? previousHolder;
  const pid = owner?.pid ?? null;
  const since = owner?.since ?? null;
  const pidAlive = held || (pid !== null && isAlive(pid));
  const stale = !held && previousHolder !== null;
  return {
    lockPath,
    pid,
    pidAlive,
    createdAt: since === null ? null : new Date(since).toISOString(),
    ageMs: since === null ? null : Math.max(0, nowMs - since),
    stale,
    staleReasons: stale ? [pidAlive ? 'lost' : 'dead-pid'] : [],
    removed: false,
  };
}

// Removed while it is locked, the file cannot be one that somebody holds; who opened it before finds
// out after the grant that it is gone.
async function remove(lockPath: string): Promise<boolean> {
  using own = tryLock(lockPath, { lockPath, record: false });
  if (own === null) return false;
  await unlink(lockPath);
  return true;
}

/**
 * Looks at the locks of the sessions (`*.jsonl`) in a folder, without waiting and without changing
 * anything.
 *
 * @returns the locks, sorted by name; `cleaned` is empty. A missing folder has none.
 * @throws {TypeError} (`ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`) when the folder is no path.
 * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when the operating system refuses.
 *
 * @example Which sessions are busy
 * ```ts
 * import { inspectSessionLocks } from 'holdfast/session-lock';
 *
 * const { locks } = await inspectSessionLocks({ sessionsDir: 'sessions' });
 * for (const { lockPath, pid, ageMs } of locks) console.log(lockPath, pid, ageMs);
 * ```
 */
export function inspectSessionLocks(params: { sessionsDir: string }): Promise<SessionLocks> {
  return cleanStaleLockFiles({ ...params, removeStale: false });
}

/**
 * Removes the lock files of sessions (`*.jsonl`) whose holder never released them and that nobody
 * holds now. Nothing depends on it: the next one to lock such a session gets it at once anyway.
 *
 * @returns the locks that were there, sorted by name, and those that were removed.
 * @throws {TypeError} (`ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`) when the folder is no path.
 * @throws {Error} with Node's `code`, `errno`, `syscall` and `path` when the operating system refuses.
 *
 * @example At the start of a gateway
 * ```ts
 * import { cleanStaleLockFiles } from 'holdfast/session-lock';
 *
 * const { cleaned } = await cleanStaleLockFiles({ sessionsDir: 'sessions', log: console });
 * console.log(`${cleaned.length} sessions were left locked by a crash`);
 * ```
 */
export async function cleanStaleLockFiles(params: CleanParams): Promise<SessionLocks> {
  const { removeStale = true, nowMs = Date.now(), log } = params;
  const folder = resolve(params.sessionsDir);
  const locks: SessionLockInspection[] = [];
  for (const name of await lockFilesIn(folder)) {
    const found = await look(join(folder, name), nowMs);
    locks.push(found);
    if (!found.stale || !removeStale) continue;
    found.removed = await remove(found.lockPath);
    if (!found.removed) continue;
    const { lockPath, staleReasons } = found;
    log?.warn?.(printable(`removed stale session lock: ${lockPath} (${staleReasons.join(', ')})`));
  }
  return { locks, cleaned: locks.filter(({ removed }) => removed) };
}
