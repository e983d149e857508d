import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, toNamespacedPath } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processIdentity } from './process-identity.js';

/** What a native operation answers: 0 when it was done, or one of these, or a negative failure. */
export const status = {
  done: 0,
  contended: 1,
  notRegular: 2,
  foreign: 3,
  replaced: 4,
  recordTooLong: 5,
} as const;

/** What `release` answers when it kept the descriptor for a lock that will follow at once. */
export const kept = 1;

/** Bits of the `flags` argument; the file permissions stand above them. */
export const requestFlags = {
  exclusive: 1,
  record: 2,
  inTurn: 4,
  /** Without a record: for a descriptor that cannot write. */
  reads: 8,
  /** The caller has said which file it is, and may have a use of its own for it. */
  named: 16,
  /** As if nobody waited, and only where nobody has the lock. */
  past: 32,
  /** The record reaches the file server before the lock is granted. */
  flush: 64,
  permissionsShift: 8,
} as const;

/** The label as JSON, the lease in ms (0: none) and the token to start above. */
export type RequestDetails = [label: string, lease: number, minToken: bigint];

type RequestArguments = [path: string, flags: number, ...details: RequestDetails | []];

/** Without a request that of the call before, of whatever handle, is meant once more. */
export type Ask<Result> = (handle: number, ...request: RequestArguments | []) => Result;

/**
 * Handles are named by numbers above 0, because an object for each would take more memory than what
 * it stands for. native/lock_handle.h says what each operation does.
 */
interface Addon {
  openHandle(handle: number): void;
  /** Ends everything that the handle has; the number may be used for another one from then on. */
  closeHandle(handle: number): void;
  tryAcquire: Ask<number>;
  /** Opens and waits in a thread of its own; `once` makes one attempt there instead. */
  beginRemote(handle: number, once: boolean, ...request: RequestArguments): number;
  beginWait: Ask<number>;
  abandonWait(handle: number): boolean;
  adoptWait(handle: number): boolean;
  /** The wait goes on for somebody else, in the same mode. */
  changeRequest: Ask<void>;
  waitFor(handle: number, milliseconds: number): number;
  finishWait(handle: number): number;
  handOver: Ask<number>;
  release(handle: number): number;
  discard(handle: number): void;
  letGo(handle: number): void;
  closeKept(handle: number): void;
  limit(handle: number, milliseconds: number, lease: number): number;
  held(handle: number): boolean;
  isAwaited(handle: number): boolean;
  /** Empty for what could not be opened. */
  identity(handle: number): string;
  /** Those that hold a lock on the same file. */
  holders(handle: number): number[];
  /** Of the latest grant. */
  crashedRecord(): string;
  /** `noticeboard` is read and written by both sides, see `Noticeboard` in native/binding_environment.h. */
  initialize(
    listener: (subject: number, result: number) => void,
    processMembers: string,
    noticeboard: ArrayBuffer,
  ): void;
  /** Looks at how many wait. */
  keepAlive(): void;
  /** Of a clock that nobody can turn back, nor replace for a test. */
  monotonicMs(): number;
  /**
   * Asks for the next turn of all threads of the process to collect garbage in the background: 0 where
   * that is now, else after how many ms to ask again.
   */
  takeCollection(intervalMs: number): number;
  /** Gives the place among those who ask up. */
  leaveCollections(): void;
  flock(fd: number, mode: 0 | 1 | 2): number;
  /** Tries in the thread pool, holding nothing: 0 free, 1 held exclusively, 2 by sharers, or a failure. */
  probe(fd: number): Promise<number>;
}

const shipped = [
  'linux-x64 (glibc, musl)',
  'linux-arm64 (glibc, musl)',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64',
  'win32-arm64',
];

function libc(): string {
  const { familySync, GLIBC, MUSL } = detectLibc();
  const family = familySync();
  return family === MUSL ? '.musl' : family === GLIBC ? '.glibc' : '';
}

function detectLibc(): typeof import('detect-libc') {
  // Not imported: that takes 7 ms, for a question that only Linux has.
  // Nor called `require`: what a bundler puts in the place of import.meta.url may use its own.
  const requireHere = createRequire(import.meta.url);
  try {
    return requireHere('detect-libc');
  } catch (cause) {
    // Bundlers do not see that it is wanted, and leave it where it was.
    throw new Error(
      'holdfast cannot find detect-libc, which it depends on: where a bundler took this code ' +
        'elsewhere, declare holdfast external',
      { cause },
    );
  }
}

/** The file that was loaded, for diagnosis. */
export const addonPath = findAddon();

function findAddon(): string {
  // Bundlers that make CommonJS leave it out.
  if ((import.meta.url as string | undefined) === undefined) {
    throw new Error(
      'holdfast cannot find its native addon from inside a bundle: declare it external',
    );
  }
  // Without new URL(…, import.meta.url): bundlers take that for an order to copy the file, and end with an
  // error of theirs about what only a checkout has. Tracers of files understand both.
  const folder = dirname(fileURLToPath(import.meta.url));
  const built = join(folder, '../build/Release/holdfast.node');
  if (existsSync(built)) return built;
  const platform = `${process.platform}-${process.arch}`;
  const suffix = process.platform === 'linux' ? libc() : '';
  return join(folder, `../prebuilds/${platform}/holdfast${suffix}.node`);
}

function load(): Addon {
  // Not require(): that would give the same addon to a second copy of this module in the same thread
  // (one evaluated by jiti or a bundle, say), which would take over what the first one waits for.
  const own = { exports: {} };
  try {
    process.dlopen(own, toNamespacedPath(addonPath));
    return own.exports as Addon;
  } catch (cause) {
    throw new Error(loadAdvice(cause), { cause });
  }
}

function loadAdvice(cause: unknown): string {
  if ((cause as NodeJS.ErrnoException).code === 'ERR_DLOPEN_DISABLED') {
    return (
      'holdfast is a native addon, and this process may not load any: ' +
      'leave --no-addons out, or add --allow-addons to --permission'
    );
  }
  const platform = `${process.platform}-${process.arch}${process.platform === 'linux' ? libc() : ''}`;
  return (
    `holdfast has no working native addon for ${platform} (Node ${process.version}) at ${addonPath}. ` +
    `Shipped are ${shipped.join(', ')}. Where a bundler took this code elsewhere, declare holdfast ` +
    `external. To build an addon here, with a C++17 compiler and Python, run: npx holdfast build`
  );
}

export const addon = load();

const noticeboard = new ArrayBuffer(40);
const token = new BigUint64Array(noticeboard, 0, 1);
const numbers = new Float64Array(noticeboard);

// Functions, not getters of an object: V8 would call those from the constructor of each lock, without inlining.
/** Of the latest grant, as are the next two; ask for them before anything else. */
export function grantedToken(): bigint {
  return token[0] as bigint;
}

/** Of `addon.monotonicMs()`. */
export function grantedSince(): number {
  return numbers[1] as number;
}

/** The record of a holder that never marked its release. */
export function crashBeforeGrant(): string | null {
  return numbers[2] === 0 ? null : addon.crashedRecord();
}

/** So many wait for something from elsewhere, for which the process has to stay alive. */
export function stayAliveFor(waiting: number): void {
  numbers[3] = waiting;
  // While a listener is called the addon looks by itself.
  if (numbers[4] === 0) addon.keepAlive();
}

/** Called with the result of a wait, or with 0 at the end of a lease. */
export type Ended = (result: number) => void;

// Never empty: V8 rebuilds a Map with its last entry gone, on the way of each hand-over.
const listeners = new Map<number, Ended>([[0, () => {}]]);
let lastLease = 0;

/** Registers what to call, once, when the wait of the lock file object with this number ends. */
export function listen(number: number, onEnded: Ended): void {
  listeners.set(number, onEnded);
}

/** Registers what to call, once, when a lease ends. Answers its number, which is negative. */
export function listenToLease(onEnded: Ended): number {
  lastLease -= 1;
  listeners.set(lastLease, onEnded);
  return lastLease;
}

export function unlisten(subject: number): void {
  listeners.delete(subject);
}

addon.initialize(
  (subject, result) => {
    const onEnded = listeners.get(subject);
    listeners.delete(subject);
    onEnded?.(result);
  },
  JSON.stringify(processIdentity).slice(1, -1),
  noticeboard,
);
