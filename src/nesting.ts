import type { FileLock } from './file-lock.js';
import { type Hold, isEndless, LockFile } from './lock-file.js';
import { NestedQueue, type NestedWaiter } from './nested-queue.js';
import type { LockRequest } from './options.js';
import { promiseLock } from './pending.js';
import { lockOf, type Scope } from './scope.js';
import { isUnlimited, watchStuckWaits } from './stuck-waits.js';

function enter(scope: Scope, queue: NestedQueue, request: LockRequest): FileLock | null {
  const nested = lockOf(scope)?.nest(request) ?? null;
  if (nested !== null) {
    const own = new NestedQueue(scope.hold, queue);
    nested.nestWith(own, closer(own));
  }
  return nested;
}

// Outside, so that it is no closure over the lock.
function closer(queue: NestedQueue): () => void {
  return () => queue.close();
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
  const { hold } = scope;
  // One for all scopes of the outermost lock.
  hold.nested ??= new NestedQueue(hold);
  const queue = (scope.nested ?? hold.nested).current;
  if (queue.tryEnter()) {
    const entered = enter(scope, queue, request);
    if (entered !== null) return entered;
    queue.pass();
    return again(request);
  }
  const forThread = isUnlimited(request) && isEndless(hold);
  const pending = promiseLock(request, () => queue.leave(waiter), forThread);
  const waiter: NestedWaiter = {
    request,
    keepAlive: pending.keepAlive,
    fail: pending.reject,
    enter() {
      const entered = enter(scope, queue, request);
      // The other wait has its own limits; those of this one would leave it a lock for nobody.
      pending.resolve(entered ?? Promise.resolve(request).then(again));
      return entered !== null;
    },
  };
  queue.join(waiter);
  if (forThread) watchStuckWaits();
  return pending.promise;
}

/**
 * Takes a shared lock again that is held shared, or answers null where that is not what is wanted.
 * For those who must not queue: behind somebody who wants it exclusively they would wait for themselves.
 */
export function shareAgain(hold: Hold | undefined, request: LockRequest): FileLock | null {
  if (hold?.mode !== 'shared' || request.mode !== 'shared') return null;
  const owner = LockFile.ownerOf(hold) as FileLock | undefined;
  return owner?.nest(request) ?? null;
}
