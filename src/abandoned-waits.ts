import type { LockFile } from './lock-file.js';
import type { LockMode } from './options.js';

/** Closes a file that was opened for nothing. */
export function letGo(file: LockFile | undefined): void {
  file?.discard();
  file?.recycle();
}

/**
 * Waits in the kernel that nobody wants any more, at most one for each mode. They cannot be revoked:
 * the next one who wants the same goes on with one, or it gives its lock back when it is granted.
 */
export class AbandonedWaits {
  readonly #files = new Map<LockMode, LockFile>();

  get size(): number {
    return this.#files.size;
  }

  add(file: LockFile, mode: LockMode): void {
    if (file.abandon()) this.#files.set(mode, file);
    // Granted in this very moment: nobody wants it, and what comes later must not be touched.
    else letGo(file);
  }

  adopt(mode: LockMode): LockFile | undefined {
    const file = this.#files.get(mode);
    if (file === undefined) return undefined;
    this.#files.delete(mode);
    if (file.adopt()) return file;
    letGo(file);
    return undefined;
  }

  /** One of them has ended. */
  remove(file: LockFile): void {
    for (const [mode, abandoned] of this.#files) {
      if (abandoned === file) this.#files.delete(mode);
    }
    letGo(file);
  }

  /** They wait for a file that nobody wants any more either. */
  forget(): void {
    for (const file of this.#files.values()) letGo(file);
    this.#files.clear();
  }
}
