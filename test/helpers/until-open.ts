import { readdirSync, readlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Program } from './program.js';

/** Until this process has the file open. */
export async function untilOpen({ child }: Program, path: string): Promise<void> {
  const linksTo = (fd: string) => {
    try {
      return readlinkSync(`/proc/${child.pid}/fd/${fd}`) === path;
    } catch {
      return false;
    }
  };
  while (!readdirSync(`/proc/${child.pid}/fd`).some(linksTo)) await nextTurn();
}
