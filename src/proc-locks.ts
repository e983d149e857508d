import { type BigIntStats, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LockMode } from './options.js';
import { readProc } from './process-identity.js';

/** A flock(2) lock that the kernel knows of. */
export interface KernelLock {
  /** In the pid namespace of this process; of the process that took it, even if others inherited it. */
  readonly pid: number;
  readonly mode: LockMode;
}

/** What the kernel knows of one file. */
export interface KernelView {
  /** Its name in /proc/locks. */
  readonly file: string;
  /** Empty where the holders are in a pid namespace that cannot be seen from here. */
  readonly holders: KernelLock[];
  /** Waiting threads; each may wait for many in its process. */
  waiters: number;
}

// `1: -> FLOCK  ADVISORY  WRITE 10276 fe:00:9988146 0 EOF`, proc_locks(5). The turnstile is an open
// file description lock on one byte (native/turnstile_linux.cc): whoever stands in it and is not its
// first waits for the lock as well.
const line =
  /^\d+: *(-> *)?(?:FLOCK +\S+ +|(OFDLCK) +\S+ +)(READ|WRITE) +(-?\d+) +(\S+) (?:0 EOF|9223372036854775792 9223372036854775792)$/;

function deviceName(major: number | bigint, minor: number | bigint): string {
  const hex = (part: number | bigint) => part.toString(16).padStart(2, '0');
  return `${hex(major)}:${hex(minor)}`;
}

// As stat(2) puts a device number together (linux/kdev_t.h, new_encode_dev).
function deviceNameOf(dev: bigint): string {
  return deviceName((dev >> 8n) & 0xfffn, (dev & 0xffn) | ((dev >> 12n) & 0xfff00n));
}

/**
 * One reading of /proc/locks. The kernel shows a page at a time and finds its place by counting, so it shows
 * a lock again, with those who wait for it, where another one was taken between two pages, and leaves one
 * out where another one was let go.
 */
export class KernelLocks {
  readonly #views = new Map<string, KernelView>();
  #devices: Map<string, string> | undefined;

  /** Null where there is no /proc/locks. */
  static read(): KernelLocks | null {
    const text = readProc('/proc/locks');
    return text === null ? null : new KernelLocks(text);
  }

  constructor(text: string) {
    // How many were seen to wait for each lock.
    const blocked = new Map<string, number>();
    let lock = '';
    let waiters = 0;
    for (const entry of text.split('\n')) {
      const [, waiting, turnstile, type, pid, file] = line.exec(entry) ?? [];
      if (file === undefined) continue;
      const view = this.#views.get(file) ?? { file, holders: [], waiters: 0 };
      this.#views.set(file, view);
      if (waiting === undefined) {
        lock = entry.replace(/^\d+: */, '');
        waiters = 0;
        const mode = type === 'WRITE' ? 'exclusive' : 'shared';
        // A process may share a lock with itself.
        const again = mode === 'exclusive' && blocked.has(lock);
        if (turnstile === undefined && !again) view.holders.push({ pid: Number(pid), mode });
      } else {
        waiters += 1;
      }
      const before = blocked.get(lock) ?? 0;
      view.waiters += Math.max(waiters - before, 0);
      blocked.set(lock, Math.max(waiters, before));
    }
  }

  /** What was known of this file. */
  about(fd: number | null, stats: BigIntStats): KernelView {
    const file = this.#nameOf(fd, stats);
    return this.#views.get(file) ?? { file, holders: [], waiters: 0 };
  }

  #nameOf(fd: number | null, { dev, ino }: BigIntStats): string {
    // Where a file system is made of several (Btrfs subvolumes, overlayfs), stat(2) gives other
    // numbers than the kernel has for itself.
    const info = fd === null ? null : readProc(`/proc/self/fdinfo/${fd}`);
    const mount = /^mnt_id:\s*(\d+)$/m.exec(info ?? '')?.[1];
    const device = mount === undefined ? undefined : this.#deviceOfMount(mount);
    const inode = /^ino:\s*(\d+)$/m.exec(info ?? '')?.[1];
    return `${device ?? deviceNameOf(dev)}:${inode ?? ino}`;
  }

  #deviceOfMount(mount: string): string | undefined {
    this.#devices ??= new Map(
      (readProc('/proc/self/mountinfo') ?? '').split('\n').flatMap((entry) => {
        const [id, , device] = entry.split(' ');
        const [major, minor] = device?.split(':') ?? [];
        return id === undefined || minor === undefined
          ? []
          : [[id, deviceName(Number(major), Number(minor))]];
      }),
    );
    return this.#devices.get(mount);
  }
}

let upcoming: Promise<KernelLocks | null> | undefined;

/** A reading that starts after this call; those who ask in the same turn of the event loop share it. */
export function freshKernelLocks(): Promise<KernelLocks | null> {
  upcoming ??= nextTurn().then(async () => {
    upcoming = undefined;
    const text = await readFile('/proc/locks', 'utf8').catch(() => null);
    return text === null ? null : new KernelLocks(text);
  });
  return upcoming;
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/**
 * A process that has the file open in the way that is locked, for a lock whose taker has ended: a
 * child inherited the descriptor, as in `( flock 9; work ) 9>file`. Null where none can be seen.
 */
export function heirOf({ pid: taker }: KernelLock, { file }: KernelView): number | null {
  for (const entry of entriesOf('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    for (const fd of entriesOf(`/proc/${pid}/fdinfo`)) {
      const info = readProc(`/proc/${pid}/fdinfo/${fd}`);
      if (info?.includes('\nlock:') && info.includes(` ${taker} ${file} 0 EOF`)) return pid;
    }
  }
  return null;
}
