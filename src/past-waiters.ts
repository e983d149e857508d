import { LockFile } from './lock-file.js';
import { status } from './native.js';
import type { LockRequest } from './options.js';

// In ms: a process that has not taken in that time what came free is not merely slow to wake up. And
// short waits again and again would pass all who wait patiently.
const patienceMs = 1_000;

/**
 * Takes the lock past all who wait for it, if nobody has it and this wait, whose time is over, was not a
 * short one. The first of all who wait, in whatever process, keeps the others out until it has had the
 * lock: one that is stopped (SIGSTOP, Ctrl-Z, a debugger) would keep from everybody what nobody has.
 */
export function takePast(request: LockRequest): LockFile | undefined {
  if (request.timeout < patienceMs) return undefined;
  const file = LockFile.take();
  if (file.tryPast(request) === status.done) return file;
  // Whatever else came of it, the time is over.
  file.letGo();
  return undefined;
}
