import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FileLock, printable, tryLock } from '../index.js';
import { defaultStaleMs } from './durations.js';
import {
  createPayload,
  isOrphaned,
  type OldPayload,
  ownPayload,
  readPayload,
  refreshPayload,
  removePayload,
} from './old-payload.js';

export interface OldLockOptions {
  /** The guarded file, normalized. */
  readonly file: string;
  /** The age in ms at which those who follow the old protocol steal; 0 where none is known. */
  readonly staleMs: number;
  readonly signal: AbortSignal | undefined;
  /** `performance.now()` when it is enough. */
  readonly deadline: number;
  readonly busy: (lockPath: string, owner: string) => Error;
}

const longestPollMs = 1_000;
const pollStepMs = 50;
const longestRefreshMs = 5_000;
// Others who found the same dead holder remove its file a moment after they have read it, and by then
// it may be ours. So whoever takes over waits to see that its own file stays.
const settleMs = 250;

// How many handles share one old lock: those that nest in one another have the same token.
const uses = new Map<string, number>();

// One that bears a token belongs to a holder of the kernel's lock, and that is us by now.
function isLeftOver(path: string, payload: OldPayload, staleMs: number): boolean {
  return payload.token !== undefined || isOrphaned(path, payload, staleMs);
}

const busyOnWindows = new Set(['EPERM', 'EBUSY', 'EACCES']);
const patienceMs = 1_000;

/** With what Windows refuses because somebody else has the file open, or had it when it was deleted. */
class Patience {
  #since = Number.POSITIVE_INFINITY;

  /** Throws what is no such refusal, and one that has lasted for too long. */
  bear(error: unknown): void {
    const { code = '' } = error as NodeJS.ErrnoException;
    const passing = process.platform === 'win32' && busyOnWindows.has(code);
    this.#since = Math.min(this.#since, performance.now());
    if (!passing || performance.now() - this.#since > patienceMs) throw error;
  }

  /** Nothing is refused any more. */
  renew(): void {
    this.#since = Number.POSITIVE_INFINITY;
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/**
 * The O_EXCL file `<file>.lock` of the old protocol, taken while the kernel's lock is held and given
 * back before it, so that programs of both kinds exclude each other.
 */
export class OldLock {
  readonly #path: string;
  readonly #file: string;
  readonly #token: string;
  readonly #lock: WeakRef<FileLock>;
  #timer: NodeJS.Timeout | undefined;
  #created = false;
  #released = false;
  #warned = false;

  private constructor(lock: FileLock, file: string) {
    this.#file = file;
    this.#path = `${file}.lock`;
    this.#token = String(lock.token);
    this.#lock = new WeakRef(lock);
  }

  /** Waits for whoever holds it after the old protocol, by polling: there is no other way. */
  static async take(lock: FileLock, options: OldLockOptions): Promise<OldLock> {
    const own = new OldLock(lock, options.file);
    const count = uses.get(own.#key) ?? 0;
    if (count === 0) {
      await own.#create(lock, options).catch((error) => {
        if (own.#created) {
          own.#keepFresh(lock, options.staleMs);
          own.#attempt(() => own.#remove());
        }
        throw error;
      });
    }
    uses.set(own.#key, count + 1);
    own.#keepFresh(lock, options.staleMs);
    return own;
  }

  /** Counts once. The last one removes the file; where the system refuses, it tries again later. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    const count = (uses.get(this.#key) ?? 1) - 1;
    if (count > 0) {
      uses.set(this.#key, count);
      clearInterval(this.#timer);
      return;
    }
    uses.delete(this.#key);
    this.#attempt(() => {
      if (this.#lock.deref()?.held) this.#remove();
      else this.#removeAfterLoss();
    });
  }

  get #key(): string {
    return `${this.#token} ${this.#path}`;
  }

  async #create(
    lock: FileLock,
    { deadline, staleMs, signal, busy }: OldLockOptions,
  ): Promise<void> {
    const patience = new Patience();
    let isTakenOver = false;
    for (let polls = 1; ; polls += 1) {
      // Null: gone in this moment, or a link to nothing, which may stay.
      let payload: OldPayload | null = null;
      try {
        if (createPayload(this.#path, ownPayload(this.#token))) {
          this.#created = true;
          if (!isTakenOver) return;
          await pause(settleMs, signal);
          if (readPayload(this.#path)?.token === this.#token) return;
        }
        payload = readPayload(this.#path);
        if (payload !== null && isLeftOver(this.#path, payload, staleMs || defaultStaleMs)) {
          removePayload(this.#path);
          isTakenOver = true;
          continue;
        }
        patience.renew();
      } catch (error) {
        patience.bear(error);
      }
      const left = deadline - performance.now();
      if (left <= 0) {
        throw busy(this.#path, payload?.pid === undefined ? 'unknown' : `pid=${payload.pid}`);
      }
      await pause(Math.min(longestPollMs, pollStepMs * polls, left), signal);
      // The time to hold it begins when it is all there.
      lock.renew();
    }
  }

  // Nothing here may keep a leaked lock from being collected, so the timer knows it weakly.
  #keepFresh(lock: FileLock, staleMs: number): void {
    const period = Math.min(longestRefreshMs, (staleMs || defaultStaleMs) / 4);
    const refresh = () => this.#attempt(() => this.#refresh());
    this.#timer = setInterval(refresh, period);
    this.#timer.unref();
    lock.signal.addEventListener('abort', refresh, { once: true });
  }

  // Nobody waits for what a timer does, and the kernel's lock is what counts: a failure must end neither
  // the process nor the release. The timer goes on until it has succeeded.
  #attempt(work: () => void): void {
    try {
      work();
    } catch (cause) {
      if (!this.#warned) {
        const text = printable(`${this.#path} cannot be kept or removed now: ${cause}`);
        process.emitWarning(new Error(text, { cause }));
      }
      this.#warned = true;
    }
  }

  #refresh(): void {
    if (readPayload(this.#path)?.token !== this.#token) clearInterval(this.#timer);
    else if (this.#lock.deref()?.held) refreshPayload(this.#path, ownPayload(this.#token));
    else this.#removeAfterLoss();
  }

  // Whoever has the kernel's lock now may have put a file of its own there, so it is only touched
  // under that lock.
  #removeAfterLoss(): void {
    uses.delete(this.#key);
    using again = tryLock(this.#file, { record: false });
    if (again !== null) this.#remove();
  }

  #remove(): void {
    if (readPayload(this.#path)?.token === this.#token) removePayload(this.#path);
    clearInterval(this.#timer);
  }
}
