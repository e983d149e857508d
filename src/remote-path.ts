import { dirname } from 'node:path';
import { requestFlags } from './native.js';
import type { LockRequest } from './options.js';
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
    remote = isRemote(path);
    // The folder may be missing, and be made on another file system than this one.
    if (remote === undefined) return false;
    if (remoteFolders.size === mostRemembered) remoteFolders.clear();
    remoteFolders.set(folder, remote);
  }
  lastPath = path;
  lastRemote = remote;
  return remote;
}

/**
 * The request for a lock file that is kept by a file server. What is written there may stay with this
 * client until the lock is released: nobody else would see who holds it, and if the server gave the lock
 * to another client meanwhile, that one would get the same fencing token.
 */
export function withFlush(request: LockRequest): LockRequest {
  return { ...request, flags: request.flags | requestFlags.flush };
}
