import { dirname } from 'node:path';
import { isRemote } from './system-error.js';

const mostRemembered = 1_000;
const remoteFolders = new Map<string, boolean>();
let lastPath = '';
let lastRemote = false;

/** Whether opening and locking at this path may take long; asked once for each folder. */
export function isRemotePath(path: string): boolean {
  if (path === lastPath) return lastRemote;
  const folder = dirname(path);
  let remote = remoteFolders.get(folder);
  if (remote === undefined) {
    if (remoteFolders.size === mostRemembered) remoteFolders.clear();
    remote = isRemote(path);
    remoteFolders.set(folder, remote);
  }
  lastPath = path;
  lastRemote = remote;
  return remote;
}
