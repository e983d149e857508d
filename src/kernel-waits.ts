import type { LockFile } from './lock-file.js';
import { status } from './native.js';
import type { LockMode, LockRequest } from './options.js';
import { waitOrPass } from './past-waiters.js';

/** A lock that was granted to a thread that blocked for it. */
interface Granted {
  readonly file: LockFile;
  /** Whether it is the file that was waited for; else that was deleted, and another is at its path. */
  readonly same: boolean;
}

/**
 * The waits in the kernel for one file: that of the first waiter, if it has one, and those that were given
 * up, at most one for each mode, until somebody adopts them.
 */
export class KernelWaits {
  #current: { readonly file: LockFile; readonly mode: LockMode } | null = null;
  readonly #abandoned = new Map<LockMode, LockFile>();
  readonly #onEnded: (file: LockFile, result: number) => void;

  constructor(onEnded: (file: LockFile, result: number) => void) {
    this.#onEnded = onEnded;
  }

  /** Wanted or not. */
  get count(): number {
    return this.#abandoned.size + (this.#current === null ? 0 : 1);
  }

  get current(): LockFile | undefined {
    return this.#current?.file;
  }

  get mode(): LockMode | undefined {
    return this.#current?.mode;
  }

  /** Starts to wait in the kernel; `onEnded` is called on the event loop, as `LockFile.beginWait` says. */
  begin(request: LockRequest, file: LockFile): number {
    const onEnded = (result: number) => this.#onEnded(file, result);
    return request.remote
      ? file.beginRemote(request, request.timeout === 0, onEnded)
      : file.beginWait(request, onEnded);
  }

  /** Waits with this thread blocked, at most for that long; answers why nothing was granted, if so. */
  block(request: LockRequest, opened: LockFile, milliseconds: number): Granted | number {
    const adopted = this.adopt(request.mode);
    if (adopted !== undefined) {
      opened.letGo();
      adopted.changeRequest(request);
    }
    const file = adopted ?? opened;
    let result = adopted === undefined ? this.begin(request, file) : status.done;
    if (result === status.done) {
      const granted = waitOrPass(file, milliseconds, request);
      if (granted !== file) {
        const passed = granted && { file: granted, same: granted.isSame(file) };
        this.abandon(file, request.mode);
        return passed ?? status.contended;
      }
      result = file.finishWait();
      if (result === status.done) return { file, same: true };
    }
    file.letGo();
    // Adopted in the moment in which it ended as one that nobody wants: once more.
    return result === status.contended ? status.replaced : result;
  }

  /** The first waiter waits in this one from now on. */
  enter(file: LockFile, mode: LockMode): void {
    this.#current = { file, mode };
  }

  /** The first waiter does not wait in the kernel any more. */
  leave(): void {
    const wait = this.#current;
    this.#current = null;
    if (wait !== null) this.abandon(wait.file, wait.mode);
  }

  /** Leaves a wait behind. */
  abandon(file: LockFile, mode: LockMode): void {
    if (file.abandon()) this.#abandoned.set(mode, file);
    // Granted in this very moment: nobody wants it, and what comes later must not be touched.
    else file.letGo();
  }

  /** An abandoned wait to go on with, if there is one that has not ended meanwhile. */
  adopt(mode: LockMode): LockFile | undefined {
    const file = this.#abandoned.get(mode);
    if (file === undefined) return undefined;
    this.#abandoned.delete(mode);
    if (file.adopt()) return file;
    file.letGo();
    return undefined;
  }

  /** Forgets a wait that has ended. False when nobody wanted it, and it gave the lock back. */
  ended(file: LockFile): boolean {
    if (this.#current?.file === file) {
      this.#current = null;
      return true;
    }
    for (const [mode, abandoned] of this.#abandoned) {
      if (abandoned === file) this.#abandoned.delete(mode);
    }
    file.letGo();
    return false;
  }

  /** Those that were abandoned wait for a file that nobody wants any more either. */
  forgetAbandoned(): void {
    for (const file of this.#abandoned.values()) file.letGo();
    this.#abandoned.clear();
  }
}
