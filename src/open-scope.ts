import { createHook } from 'node:async_hooks';
import { setImmediate } from 'node:timers';
import type { FileLock } from './file-lock.js';
import { currentScope, enterScope, type Scope, scopeOf } from './scope.js';

/** A promised lock and the async ids of whatever waits for it. */
interface Opening {
  readonly ids: number[];
  lock?: FileLock;
  scope?: Scope;
}

let opening: Opening | undefined;
const opened = new Map<number, Opening>();

// An async context can be entered by running code only, and at the call that is the caller's whole
// tick: tasks that it starts next would pass for the holder and enter together with it. So the
// context is entered where the code that awaits the lock goes on.
const births = createHook({
  init(id, _type, trigger) {
    const waitedFor = opened.get(trigger) ?? (opening?.ids.length === 0 ? opening : undefined);
    if (waitedFor === undefined) return;
    waitedFor.ids.push(id);
    opened.set(id, waitedFor);
  },
});

const turns = createHook({
  before(id) {
    const own = opened.get(id);
    if (own?.lock === undefined) return;
    own.scope ??= scopeOf(own.lock);
    enterScope(own.scope);
  },
});

let deliveries = 0;

// The hooks cost every promise of the process something, so they are there for moments only.
function watchBirths(): void {
  queueMicrotask(() => births.disable());
  births.enable();
}

function watchTurns(delivered: Opening): void {
  deliveries += 1;
  turns.enable();
  setImmediate(() => {
    deliveries -= 1;
    if (deliveries === 0) turns.disable();
    forget(delivered);
  });
}

function forget({ ids }: Opening): void {
  for (const id of ids) opened.delete(id);
}

/**
 * Makes whoever awaits the returned promise the scope of the lock, as if the rest of it ran in
 * `withLock`: a request in it with `reentrant: true` nests, one without is told of the deadlock, and
 * `guardProcess` knows whose error it is. For functions that hand out a lock instead of taking a
 * callback.
 *
 * The scope is the function that awaits this promise at once, and all that it starts from then on.
 * It does not reach that function's own callers, and tasks that run beside it wait like anybody else.
 *
 * @param pending the promise of the lock.
 * @returns a promise of the same lock, to be handed out in place of the other.
 * @throws whatever the given promise rejects with.
 *
 * @example A lock whose holder may call functions that take it as well
 * ```ts
 * import { type FileLock, lock, openScope } from 'holdfast';
 *
 * function lockSession(file: string): Promise<FileLock> {
 *   return openScope(lock(file, { reentrant: true }));
 * }
 *
 * using session = await lockSession('sessions/a.jsonl');
 * using again = await lockSession('sessions/a.jsonl');
 * console.log(session.token === again.token);
 * ```
 */
export function openScope(pending: Promise<FileLock>): Promise<FileLock> {
  // Before Node 24 a storage that is first used inside of a hook does not reach what is started there.
  enterScope(currentScope());
  const own: Opening = { ids: [] };
  watchBirths();
  opening = own;
  try {
    return pending.then(
      (lock) => {
        own.lock = lock;
        watchTurns(own);
        return lock;
      },
      (error) => {
        forget(own);
        throw error;
      },
    );
  } finally {
    // Also where that was no promise: the next one to be born would pass for what waits for it.
    opening = undefined;
  }
}
