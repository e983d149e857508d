import type { WaitQueue } from './wait-queue.js';

const byIdentity = new Map<string, WaitQueue>();
const byPath = new Map<string, WaitQueue>();

export function queueOf(identity: string): WaitQueue | undefined {
  return byIdentity.get(identity);
}

export function queueAt(path: string): WaitQueue | undefined {
  return byPath.size === 0 ? undefined : byPath.get(path);
}

export function allQueues(): Iterable<WaitQueue> {
  return byIdentity.values();
}

// Became idle by a grant from elsewhere, and is dropped at the next wait, not on the way of a hand-over.
let idle: WaitQueue | undefined;

/** Drops what became idle, but for this one. */
export function linger(queue?: WaitQueue): void {
  const before = idle;
  idle = queue;
  if (before !== queue) before?.dropIfIdle();
}

/** Under what a queue is found: what is the same for all paths of its file, and the paths that were asked for. */
export class QueueNames {
  readonly #queue: WaitQueue;
  readonly #paths = new Set<string>();
  #identity: string;

  constructor(queue: WaitQueue, identity: string) {
    this.#queue = queue;
    this.#identity = identity;
    byIdentity.set(identity, queue);
  }

  addPath(path: string): void {
    if (byPath.get(path) === this.#queue) return;
    this.#paths.add(path);
    byPath.set(path, this.#queue);
  }

  /** Says which file the paths mean now; answers whether it is another one. */
  move(identity: string): boolean {
    if (identity === this.#identity) return false;
    this.#dropIdentity();
    this.#identity = identity;
    if (!byIdentity.has(identity)) byIdentity.set(identity, this.#queue);
    return true;
  }

  drop(): void {
    this.#dropIdentity();
    for (const path of this.#paths) {
      if (byPath.get(path) === this.#queue) byPath.delete(path);
    }
  }

  #dropIdentity(): void {
    if (byIdentity.get(this.#identity) === this.#queue) byIdentity.delete(this.#identity);
  }
}
