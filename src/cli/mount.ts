import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileSystemOf } from '../system-error.js';

/** The type of the file system that a folder is on, as the mount table says it, or as near as can be told. */
export function fileSystemTypeOf(folder: string): string | null {
  return mountTypeOf(folder) ?? fileSystemOf(join(folder, '.'));
}

// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`, proc_pid_mountinfo(5).
function mountTypeOf(folder: string): string | null {
  if (process.platform !== 'linux') return null;
  let fd: number | undefined;
  try {
    fd = openSync(folder, 'r');
    const id = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    const mount = mounts.find((entry) => entry.startsWith(`${id} `));
    return mount?.split(' - ')[1]?.split(' ')[0] ?? null;
  } catch {
    return null;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
