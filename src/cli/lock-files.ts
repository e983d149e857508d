import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { suffix } from '../options.js';

/** What was met: a lock file, or a folder that could not be searched. */
export type Found = { lockPath: string } | { lockPath: string; error: Error };

// Node replaces what is not UTF-8 in names, and so finds nothing there.
async function isNameless(path: string): Promise<boolean> {
  return path.includes('\ufffd') && !(await exists(path));
}

/** The lock files in a folder and its subfolders, in the order of their names; links are not followed. */
export async function* lockFilesIn(folder: string): AsyncGenerator<Found> {
  let entries: Dirent[];
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (error) {
    // Deleted since it was listed.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      yield { lockPath: folder, error: error as Error };
    }
    return;
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    const isLockFile = entry.isFile() && entry.name.endsWith(suffix);
    if ((entry.isDirectory() || isLockFile) && (await isNameless(path))) {
      const error = new Error(`${path} cannot be opened: its name is not UTF-8`);
      yield { lockPath: path, error };
    } else if (entry.isDirectory()) yield* lockFilesIn(path);
    else if (isLockFile) yield { lockPath: path };
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

// The library takes the name of a resource without them, as of a folder that is not there yet.
const lastSlashes = process.platform === 'win32' ? /[\\/]+$/ : /\/+$/;

/** The lock files that a path stands for: all in a folder, those of a resource, or the file itself. */
export async function* lockFilesAt(path: string): AsyncGenerator<Found> {
  const entry = await stat(path).catch(() => null);
  if (entry?.isDirectory()) {
    yield* lockFilesIn(path);
    return;
  }
  const beside = path.replace(lastSlashes, '') + suffix;
  const isLockFile = path.endsWith(suffix) || (entry !== null && !(await exists(beside)));
  yield { lockPath: isLockFile ? path : beside };
}
