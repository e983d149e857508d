import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FileLock } from './file-lock.js';
import { type Hold, isEndless } from './hold.js';
import { LockFile } from './lock-file.js';
import { NestedQueue, type NestedWaiter } from './nested-queue.js';
import type { LockRequest } from './options.js';
import { PendingLock } from './pending.js';
import { lockOf, type Scope } from './scope.js';
import { isUnlimited, lookForStuckWaits, watchStuckWaits } from './stuck-waits.js';

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

type Again = (request: LockRequest) => FileLock | Promise<FileLock>;

class Sibling extends PendingLock implements NestedWaiter {
  readonly #scope: Scope;
  readonly #queue: NestedQueue;
  readonly #again: Again;
  readonly #since = performance.now();

  constructor(
    scope: Scope,
    queue: NestedQueue,
    request: LockRequest,
    again: Again,
    forThread: boolean,
  ) {
    // No file server has a part in it.
    super({ ...request, remote: false }, forThread);
    this.#scope = scope;
    this.#queue = queue;
    this.#again = again;
    queue.join(this);
    this.announce();
  }

  enter(): boolean {
    if (this.aborted) {
      this.reject(this.request.signal?.reason);
      return false;
    }
    const entered = enter(this.#scope, this.#queue, this.request);
    // The other wait has its own limits; those of this one would leave it a lock for nobody.
    this.resolve(entered ?? Promise.resolve(this.#rest()).then(this.#again));
    return entered !== null;
  }

  /** The same request, with what is left of the time. */
  #rest(): LockRequest {
    const timeout = this.request.timeout - (performance.now() - this.#since);
    return { ...this.request, timeout: Math.max(Math.ceil(timeout), 0) };
  }

  protected override cancel(): void {
    this.#queue.leave(this);
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
  const { hold } = scope;
  // One for all scopes of the outermost lock.
  hold.nested ??= new NestedQueue(hold);
  const queue = (scope.nested ?? hold.nested).current;
  if (queue.tryEnter()) {
    const entered = enter(scope, queue, request);
    if (entered !== null) return entered;
    queue.pass();
    // Collected, and not known to have ended: this very call would find the same once more.
    return nextTurn().then(() => again(request));
  }
  const forThread = isUnlimited(request) && isEndless(hold);
  const waiter = new Sibling(scope, queue, request, again, forThread);
  if (forThread) {
    watchStuckWaits();
    lookForStuckWaits();
  }
  return waiter.promise;
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
