import { AsyncLocalStorage } from 'node:async_hooks';
import type { FileLock } from './file-lock.js';
import type { Hold } from './hold.js';
import { LockFile } from './lock-file.js';
import type { NestedQueue } from './nested-queue.js';

/**
 * The scope of a lock, as its async context sees it. Contexts are captured by timers and
 * sockets that live on, so nothing here may keep the lock from being collected.
 */
export interface Scope {
  readonly hold: Hold;
  parent: Scope | undefined;
  /** Those that nest in this scope, where it is that of a nested lock. */
  readonly nested: NestedQueue | undefined;
}

// Started with the first scope, not at import: before Node 24 every promise of a process costs more
// once a storage is in use.
let storage: AsyncLocalStorage<Scope | undefined> | undefined;

const none: readonly Hold[] = [];

/** Whether the scope around this one is as good: the lock has ended, or those in both nest in the same turn. */
function isOver({ hold, nested, parent }: Scope): boolean {
  if (hold.ended || !nested?.closed || parent?.hold !== hold) return hold.ended;
  return nested.current === (parent.nested ?? hold.nested)?.current;
}

function heldScope(scope: Scope | undefined): Scope | undefined {
  let current = scope;
  while (current !== undefined && isOver(current)) current = current.parent;
  return current;
}

/** The innermost scope of the running async context whose lock is still held. */
export function currentScope(): Scope | undefined {
  return heldScope(storage?.getStore());
}

/** Runs a function as the scope of this lock. */
export function runInScope<T>(lock: FileLock, fn: (lock: FileLock) => T): T {
  storage ??= new AsyncLocalStorage();
  return storage.run(scopeOf(lock), fn, lock);
}

/** A scope of this lock inside the running one. */
export function scopeOf(lock: FileLock): Scope {
  const parent = currentScope();
  // Whoever takes each lock before it lets go of the last one would keep all of them otherwise.
  for (let scope = parent; scope !== undefined; scope = scope.parent) {
    scope.parent = heldScope(scope.parent);
  }
  return { hold: lock.hold, parent, nested: lock.nestedQueue };
}

/** Makes the rest of the running code, and all that it starts, a part of this scope, or of none. */
export function enterScope(scope: Scope | undefined): void {
  storage ??= new AsyncLocalStorage();
  storage.enterWith(scope);
}

/** The lock of a scope, if it is still held by anybody. */
export function lockOf({ hold }: Scope): FileLock | undefined {
  return LockFile.ownerOf(hold) as FileLock | undefined;
}

/** The innermost scope around here that holds one of these. */
export function scopeHolding(holds: readonly Hold[]): Scope | undefined {
  for (let scope = currentScope(); scope !== undefined; scope = heldScope(scope.parent)) {
    if (holds.includes(scope.hold)) return scope;
  }
  return undefined;
}

/** All holds that the running async context would keep while it waits. */
export function holdsAround(): readonly Hold[] {
  let scope = currentScope();
  if (scope === undefined) return none;
  const holds: Hold[] = [];
  for (; scope !== undefined; scope = heldScope(scope.parent)) {
    holds.push(scope.hold);
  }
  return holds;
}
