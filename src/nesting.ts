import type { FileLock } from './file-lock.js';
import { type Hold, LockFile } from './lock-file.js';
import type { LockRequest } from './options.js';
import { PendingLock } from './pending.js';
import { lockOf, type NestedQueue, type NestedWaiter, type Scope } from './scope.js';

function enter(scope: Scope, queue: NestedQueue, request: LockRequest): FileLock | null {
  const nested = lockOf(scope)?.nest(request) ?? null;
  if (nested === null) {
    leave(queue);
    return null;
  }
  nested.onRelease = () => leave(queue);
  return nested;
}

function leave(queue: NestedQueue): void {
  const [next] = queue.waiting;
  queue.busy = next !== undefined;
  if (next === undefined) return;
  queue.waiting.delete(next);
  next.enter();
}

type Again = (request: LockRequest) => FileLock | Promise<FileLock>;

class Sibling extends PendingLock implements NestedWaiter {
  readonly #scope: Scope;
  readonly #queue: NestedQueue;
  readonly #again: Again;

  constructor(scope: Scope, queue: NestedQueue, request: LockRequest, again: Again) {
    super(request);
    this.#scope = scope;
    this.#queue = queue;
    this.#again = again;
    queue.waiting.add(this);
  }

  enter(): void {
    const entered = enter(this.#scope, this.#queue, this.request);
    // The other wait has its own limits; those of this one would leave it a lock for nobody.
    this.resolve(entered ?? Promise.resolve(this.request).then(this.#again));
  }

  protected override cancel(): void {
    this.#queue.waiting.delete(this);
  }
}

/**
 * Takes the lock again inside the scope that holds it. Siblings in that scope take turns: two tasks
 * that each read, wait and write would lose updates otherwise. When the scope has ended meanwhile,
 * `again` takes a lock of its own.
 */
export function lockNested(
  scope: Scope,
  request: LockRequest,
  again: Again,
): FileLock | Promise<FileLock> {
  scope.nested ??= { busy: false, waiting: new Set() };
  const queue = scope.nested;
  if (!queue.busy) {
    queue.busy = true;
    return enter(scope, queue, request) ?? again(request);
  }
  return new Sibling(scope, queue, request, again).promise;
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
