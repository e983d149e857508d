import { LockFile } from './lock-file.js';
import { allQueues, linger, queueAt, queueOf } from './queue-names.js';
import { WaitQueue } from './wait-queue.js';

function ifAwaited(queue: WaitQueue | undefined): WaitQueue | undefined {
  return queue !== undefined && queue.waiters.size > 0 ? queue : undefined;
}

/** The queue in which somebody waits for the lock file at this path, as far as the path tells. */
export function awaitedAt(path: string): WaitQueue | undefined {
  return ifAwaited(queueAt(path));
}

/** The queue in which somebody waits for a file whose lock was granted here, maybe under another path. */
export function overtakenBy(file: LockFile, path: string): WaitQueue | undefined {
  for (const { waiters } of allQueues()) {
    // What a path means is asked only where it matters: this is on the way of every lock.
    if (waiters.size > 0) return ifAwaited(queueOf(file.identityAt(path)));
  }
  return undefined;
}

/** The queue for a file that is open, whatever the spelling of its path. */
export function queueFor(file: LockFile, path: string): WaitQueue {
  linger();
  const identity = file.identityAt(path);
  const queue = queueOf(identity) ?? new WaitQueue(identity);
  queue.meetAll(file);
  return queue;
}

/** The queue for a file that has not been opened, because that may take long. */
export function remoteQueueFor(path: string): WaitQueue {
  linger();
  const queue = queueOf(path) ?? new WaitQueue(path);
  for (const holder of LockFile.existing()) {
    if (holder.hold?.lockPath === path && holder.held) queue.meet(holder);
  }
  return queue;
}

/** Those of this thread who wait for the file at this path, less its waits in the kernel, wanted or not. */
export function unseenAt(path: string): number {
  return queueAt(path)?.unseen ?? 0;
}
