import { type HolderRecord, withJson } from './holder-record.js';
import { printable } from './printable.js';
import type { KernelLock, KernelView } from './proc-locks.js';
import { commandOf, isZombie, processIdentity, startTimeOf } from './process-identity.js';

/** Who holds a lock, as far as the holder record and the kernel tell; for people, never to act upon. */
export interface LockHolder {
  /** As seen from this process; where it is `elsewhere`, as the holder knows itself. */
  pid: number;
  /** With its arguments; null where it cannot be told. Linux only. */
  command: string | null;
  host: string;
  /** What the holder says the lock is for. */
  label: string | null;
  /** When the lock was taken, in ms since 1970; null where no record says it. */
  since: number | null;
  /** The lease in ms, or null. */
  lease: number | null;
  /** Its fencing token, a string in JSON; null where no record says it. */
  token: bigint | null;
  /** `elsewhere` is another host or pid namespace; a process that is `dead` has left the lock to a child. */
  whereabouts: Whereabouts;
}

/** Where and in which state a process is, seen from this one. */
export type Whereabouts = 'this process' | 'alive' | 'dead' | 'elsewhere';

/** Whether such a process lives, as far as this one can see. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return !isZombie(pid);
}

function locate(record: HolderRecord): Whereabouts {
  const here = processIdentity;
  if (record.host !== here.host || record.pidns !== here.pidns) return 'elsewhere';
  if (record.boot !== here.boot) return 'dead';
  if (record.pid === here.pid && record.start === here.start) return 'this process';
  if (!isAlive(record.pid)) return 'dead';
  const start = startTimeOf(record.pid);
  return start === null || start === record.start ? 'alive' : 'dead';
}

function fromRecord(record: HolderRecord, pid = record.pid, whereabouts = locate(record)) {
  const { host, label, since, lease, token } = record;
  const command = whereabouts === 'elsewhere' ? null : commandOf(pid);
  return withJson({ pid, command, host, label, since, lease, token, whereabouts });
}

function fromKernel(pid: number): LockHolder {
  return {
    pid,
    command: commandOf(pid),
    host: processIdentity.host,
    label: null,
    since: null,
    lease: null,
    token: null,
    whereabouts: whereaboutsOf(pid),
  };
}

function whereaboutsOf(pid: number): Whereabouts {
  if (pid === processIdentity.pid) return 'this process';
  return isAlive(pid) ? 'alive' : 'dead';
}

/** Whether the process that the kernel names is the one that wrote the record. */
function wrote(record: HolderRecord, { pid }: KernelLock): boolean {
  if (record.boot !== processIdentity.boot) return false;
  if (record.pidns === processIdentity.pidns && record.pid !== pid) return false;
  const start = startTimeOf(pid);
  return start === record.start || (start === null && record.pid === pid);
}

/** Who holds a lock, and who held it before and never said that it was done. */
export interface Attribution {
  holders: LockHolder[];
  previousHolder: HolderRecord | null;
}

/**
 * Brings together what the kernel and the record say. The record alone never makes a holder of
 * somebody whom the kernel does not have, but it is all there is where the kernel does not tell.
 *
 * @param pidOf names another process for a kernel lock whose taker has ended.
 */
export function attribute(
  mode: 'exclusive' | 'shared' | 'free',
  record: HolderRecord | null,
  kernel: KernelView | null,
  pidOf = ({ pid }: KernelLock, _view: KernelView) => pid,
): Attribution {
  const claim = record?.state === 'held' ? record : null;
  const seen = kernel?.holders ?? [];
  if (mode === 'exclusive' && claim !== null) {
    const writer = seen.find((lock) => wrote(claim, lock));
    if (writer !== undefined) {
      const holder = fromRecord(claim, writer.pid, whereaboutsOf(writer.pid));
      return { holders: [holder], previousHolder: null };
    }
    if (seen.length === 0 && locate(claim) !== 'dead') {
      return { holders: [fromRecord(claim)], previousHolder: null };
    }
  }
  const holders =
    mode === 'free' || kernel === null ? [] : seen.map((lock) => fromKernel(pidOf(lock, kernel)));
  return { holders, previousHolder: claim };
}

const whereaboutsText = {
  'this process': ', which is this very process',
  alive: '',
  dead: ' (that process is gone; a child of it holds on)',
  elsewhere: ' (another host or pid namespace)',
};

const longestCommand = 60;

/** A command line fit for a message or a table. */
export function shortCommand(command: string): string {
  const text = printable(command);
  return text.length > longestCommand ? `${text.slice(0, longestCommand - 1)}…` : text;
}

function describeOne(holder: LockHolder): string {
  const { pid, command, host, label, since } = holder;
  const where = whereaboutsText[holder.whereabouts];
  if (since === null) {
    return `held by pid ${pid}${command === null ? '' : ` (${shortCommand(command)})`}${where}`;
  }
  const seconds = Math.max(0, (Date.now() - since) / 1000).toFixed(1);
  const what = label === null ? '' : ` ("${printable(label)}")`;
  return `held for ${seconds} s by pid ${pid} on host ${printable(host)}${what}${where}`;
}

/** One line for an error message: `held for 12.3 s by pid 4242 on host gw-1 ("append reply")`. */
export function describeHolders([first, ...others]: LockHolder[]): string {
  if (first === undefined) return 'held by a program that leaves no record';
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  return describeOne(first) + more;
}
