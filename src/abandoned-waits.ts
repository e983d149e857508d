import type { LockFile } from './lock-file.js';
import type { LockMode } from './options.js';

/** Waits in the kernel that were given up, at most one for each mode, until somebody adopts them. */
export class AbandonedWaits {
  readonly #files = new Map<LockMode, LockFile>();

  get count(): number {
    return this.#files.size;
  }

  /** Leaves a wait behind. */
  add(file: LockFile, mode: LockMode): void {
    if (file.abandon()) this.#files.set(mode, file);
    // Granted in this very moment: nobody wants it, and what comes later must not be touched.
    else file.letGo();
  }

  /** A wait to go on with, if there is one that has not ended meanwhile. */
  adopt(mode: LockMode): LockFile | undefined {
    const file = this.#files.get(mode);
    if (file === undefined) return undefined;
    this.#files.delete(mode);
    if (file.adopt()) return file;
    file.letGo();
    return undefined;
  }

  /** Forgets a wait that was granted to nobody and has given the lock back. */
  ended(file: LockFile): void {
    for (const [mode, abandoned] of this.#files) {
      if (abandoned === file) this.#files.delete(mode);
    }
    file.letGo();
  }
  /** They wait for a file that nobody wants any more either. */
  forget(): void {
    for (const file of this.#files.values()) file.letGo();
    this.#files.clear();
  }
}
