import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach } from 'vitest';

const folders: string[] = [];

/** A folder of its own for a test, removed afterwards. */
export function temporaryFolder(parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'holdfast-'));
  folders.push(folder);
  return folder;
}

/** A path to guard, in a folder of its own. */
export function temporaryResource(): string {
  return join(temporaryFolder(), 'resource');
}

/** Another path to a resource, through a link to its folder. */
export function linkedPathTo(resource: string): string {
  const link = join(temporaryFolder(), 'link');
  symlinkSync(dirname(resource), link, 'junction');
  return join(link, basename(resource));
}

// A process that was killed may still be about to create a file.
const persistently = { recursive: true, force: true, maxRetries: 4, retryDelay: 20 };

afterEach(() => {
  for (const folder of folders.splice(0)) {
    try {
      rmSync(folder, persistently);
    } catch (error) {
      // A file that is open here or elsewhere cannot be removed on every system; it is a temporary
      // one, and no fault of the lock.
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    }
  }
});
