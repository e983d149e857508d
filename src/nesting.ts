import type { FileLock } from './file-lock.js';
import type { LockRequest } from './options.js';
import { type Pending, promiseLock } from './pending.js';
import type { Scope } from './scope.js';

function enter(scope: Scope, request: LockRequest): FileLock | null {
  const nested = scope.lock.deref()?.nest(request) ?? null;
  if (nested === null) {
    leave(scope);
    return null;
  }
  nested.onRelease = () => leave(scope);
  return nested;
}

function leave(scope: Scope): void {
  const { nested } = scope;
  const [next] = nested.waiting;
  nested.busy = next !== undefined;
  if (next === undefined) return;
  nested.waiting.delete(next);
  next();
}

/**
 * Takes the lock again inside the scope that holds it. Siblings in that scope take turns: two tasks
 * that each read, wait and write would lose updates otherwise. When the scope has ended meanwhile,
 * `again` takes a lock of its own.
 */
export function lockNested(
  scope: Scope,
  request: LockRequest,
  again: (request: LockRequest) => FileLock | Promise<FileLock>,
): FileLock | Promise<FileLock> {
  const { nested } = scope;
  if (!nested.busy) {
    nested.busy = true;
    return enter(scope, request) ?? again(request);
  }
  const turn = () => {
    const entered = enter(scope, request);
    if (entered !== null) pending.resolve(entered);
    else Promise.resolve(again(request)).then(pending.resolve, pending.reject);
  };
  const pending: Pending = promiseLock(request, () => nested.waiting.delete(turn));
  nested.waiting.add(turn);
  return pending.promise;
}
