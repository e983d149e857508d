import { setImmediate } from 'node:timers';
import type { Hold } from './hold.js';
import {
  type Ask,
  addon,
  type Ended,
  kept,
  listen,
  requestFlags,
  status,
  unlisten,
} from './native.js';
import { type LockRequest, longestLease } from './options.js';
import { type Owner, Owners } from './owners.js';
import { Remains } from './remains.js';

/** Whoever may take a lock over, still locked, instead of letting it go. */
export interface Successor {
  /** Called when the holder is done. Whatever becomes of the file, it is not the holder's any more. */
  takeFrom(file: LockFile, holder: Owner): void;
  /** The lock went without being released: its lease ran out, or it was found leaked. */
  vanished(number: number): void;
}

let longestBlockMs: number | undefined;

// A worker is terminated between two calls, never inside of one; of the main thread nobody wants
// that, but its limit has to be one that the native clock can add up.
function longestBlock(): number {
  // Not imported: that takes 0.4 ms, and few threads wait like this.
  longestBlockMs ??= process.getBuiltinModule('node:worker_threads').isMainThread ? 1e9 : 20;
  return longestBlockMs;
}

const mostPooled = 64;
const pool: LockFile[] = [];

const withKeptDescriptor = new Set<LockFile>();

function closeAfterThisTurn(file: LockFile): void {
  if (withKeptDescriptor.size === 0) setImmediate(closeKept);
  withKeptDescriptor.add(file);
}

function closeKept(): void {
  for (const file of withKeptDescriptor) file.closeKept();
  withKeptDescriptor.clear();
}

// What the addon was told last: it still has that, and reading it anew takes longer than the rest of
// the call. Not what a signal belongs to, which this would keep alive.
let told: LockRequest | undefined;

function ask<Result>(what: Ask<Result>, handle: number, request: LockRequest): Result {
  if (request === told) return what(handle);
  const { lockPath, flags, details } = request;
  told = undefined;
  // Without a spread where there is nothing to spread: this is on the way of every lock.
  const result =
    details.length === 0
      ? what(handle, lockPath, flags)
      : what(handle, lockPath, flags, ...details);
  hasBeenTold(request);
  return result;
}

/**
 * Call it after the addon, with nothing told meanwhile: what is thrown on the way there, or right behind it
 * by the timeout of a script in node:vm, must not leave it with another one than it is believed to have.
 */
function hasBeenTold(request: LockRequest): void {
  told = request.signal === undefined ? request : undefined;
}

/**
 * One use of a lock file: the driver behind the lock. Objects are used again and again, because
 * their native part and their finalisers cost more than the lock itself.
 */
export class LockFile {
  readonly #remains = new Remains(this);
  readonly owners = new Owners();

  static take(): LockFile {
    return pool.pop() ?? new LockFile();
  }

  static byNumber(number: number): LockFile | undefined {
    return Remains.of(number)?.deref();
  }

  /** The outermost holder of a hold, while it lasts and somebody refers to it. */
  static ownerOf(hold: Hold): Owner | undefined {
    const file = LockFile.byNumber(hold.number);
    return file?.hold === hold ? file.owners.first : undefined;
  }

  /** All objects that exist, held or not. */
  static *existing(): Generator<LockFile> {
    for (const remains of Remains.all()) {
      const file = remains.deref();
      if (file !== undefined) yield file;
    }
  }

  /** Puts this object back for the next use; nothing may refer to it any more. */
  recycle(): void {
    this.end();
    if (pool.length < mostPooled) pool.push(this);
  }

  get number(): number {
    return this.#remains.number;
  }

  get hold(): Hold | null {
    return this.#remains.hold;
  }

  get successor(): Successor | null {
    return this.#remains.successor;
  }

  set successor(successor: Successor | null) {
    this.#remains.successor = successor;
  }

  /** Opens the lock file and makes one attempt; `status.contended` leaves it open for a wait. */
  tryAcquire(request: LockRequest): number {
    return ask(addon.tryAcquire, this.number, request);
  }

  /** Opens the lock file for a wait behind those who wait already, without an attempt. */
  openInTurn(request: LockRequest): number {
    return this.#tryFlagged(request, requestFlags.inTurn);
  }

  /** As `tryAcquire`, past those who wait already, where nobody has the lock. */
  tryPast(request: LockRequest): number {
    return this.#tryFlagged(request, requestFlags.past);
  }

  #tryFlagged({ lockPath, flags, details }: LockRequest, flag: number): number {
    told = undefined;
    return addon.tryAcquire(this.number, lockPath, flags | flag, ...details);
  }

  /**
   * Starts to wait in the kernel; `onEnded` is called on the event loop, or never after `abandon()`
   * failed. When its result is `status.done`, the lock is held.
   */
  beginWait(request: LockRequest, onEnded: Ended): number {
    listen(this.number, onEnded);
    return ask(addon.beginWait, this.number, request);
  }

  /** As `beginWait`, but opens in the waiting thread as well; `once` makes one attempt there. */
  beginRemote(request: LockRequest, once: boolean, onEnded: Ended): number {
    listen(this.number, onEnded);
    const { lockPath, flags, details } = request;
    told = undefined;
    const result = addon.beginRemote(this.number, once, lockPath, flags, ...details);
    hasBeenTold(request);
    return result;
  }

  /** Goes on with a wait for somebody else, who wants the same mode. */
  changeRequest(request: LockRequest): void {
    ask(addon.changeRequest, this.number, request);
  }

  /** Gives a wait up. False when it has ended already: `finishWait` has the result. */
  abandon(): boolean {
    return addon.abandonWait(this.number);
  }

  /** Takes an abandoned wait over. False when it has ended already. */
  adopt(): boolean {
    return addon.adoptWait(this.number);
  }

  /** Blocks this thread until the wait has ended, or answers `status.contended` when the time is over. */
  waitFor(milliseconds: number): number {
    const end = performance.now() + milliseconds;
    for (let left = milliseconds; ; ) {
      const step = Math.min(Math.ceil(left), longestBlock());
      const result = addon.waitFor(this.number, step);
      // Counted down as well: the clock may be the fake one of a test, and stand still.
      left = Math.min(left - step, end - performance.now());
      if (result === status.done || left <= 0) return result;
    }
  }

  /** Takes what the wait was granted that `waitFor` has seen end. */
  finishWait(): number {
    unlisten(this.number);
    return addon.finishWait(this.number);
  }

  /** Grants the lock that is held here, still locked, to the next one. */
  handOver(request: LockRequest): number {
    return ask(addon.handOver, this.number, request);
  }

  begin(hold: Hold, owner: Owner): void {
    this.#remains.hold = hold;
    this.owners.begin(owner);
  }

  /** Forgets the hold, which has ended. */
  end(): void {
    this.#remains.hold = null;
    this.#remains.successor = null;
    this.owners.end();
  }

  /** Starts or renews the lease: done, or contended when the lock is lost already, or a failure. */
  limit(milliseconds: number, lease: number): number {
    return addon.limit(this.number, Math.ceil(Math.min(milliseconds, longestLease)), lease);
  }

  get held(): boolean {
    return addon.held(this.number);
  }

  /** Whether another process is known to wait for the lock that is held here. */
  get isAwaited(): boolean {
    return addon.isAwaited(this.number);
  }

  /** What is the same for all paths of one file; for one that could not be opened the path has to do. */
  identityAt(path: string): string {
    const identity = addon.identity(this.number);
    return identity === '' ? path : identity;
  }

  /** Whether both are uses of one file. */
  isSame(other: LockFile): boolean {
    return addon.identity(this.number) === addon.identity(other.number);
  }

  /** Objects of this thread that hold a lock on the same file. */
  holders(): LockFile[] {
    return addon.holders(this.number).flatMap((number) => LockFile.byNumber(number) ?? []);
  }

  /** Unlocks and closes; answers a negative failure when the lock could not be given up. */
  unlock(): number {
    const result = addon.release(this.number);
    if (result === kept) closeAfterThisTurn(this);
    return result;
  }

  /** Closes a descriptor that was kept between two locks in quick succession. */
  closeKept(): void {
    addon.closeKept(this.number);
  }

  /** As `unlock`, and where the system refuses that, closes the file: the lock ends with it. */
  forceUnlock(): void {
    if (this.unlock() < status.done) this.revoke();
  }

  /** Ends the lock of a holder that has not released it: the record goes on to say that it is held. */
  revoke(): void {
    addon.letGo(this.number);
  }

  /** Closes what is not held; a wait that was granted meanwhile is given back. */
  discard(): void {
    unlisten(this.number);
    addon.discard(this.number);
  }

  /** Closes what is not held, for the next use of this object. */
  letGo(): void {
    this.discard();
    this.recycle();
  }
}
