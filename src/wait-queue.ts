import type { Hold } from './hold.js';
import { KernelWaits } from './kernel-waits.js';
import { LocalHolders } from './local-holders.js';
import { LockFile, type Successor } from './lock-file.js';
import { status } from './native.js';
import type { LockRequest } from './options.js';
import type { Owner } from './owners.js';
import { lookPastLater, takePast } from './past-waiters.js';
import { timeoutError } from './pending.js';
import { linger, QueueNames } from './queue-names.js';
import { lookForStuckWaits } from './stuck-waits.js';
import { errorFrom } from './system-error.js';
import { Turn } from './turn.js';
import type { Waiter } from './waiter.js';
import { WaiterList } from './waiter-list.js';

/**
 * Those of this thread who wait for one file, first come, first served. Only the first of them waits
 * in the kernel, and only while no holder is in this thread: a holder here hands the lock over,
 * still locked, without a system call to wait in.
 */
export class WaitQueue implements Successor {
  readonly #names: QueueNames;
  readonly #waiters = new WaiterList();
  readonly #holders = new LocalHolders(this);
  readonly #waits = new KernelWaits((file, result) => this.#ended(file, result));
  readonly #turn = new Turn();

  constructor(identity: string) {
    this.#names = new QueueNames(this, identity);
  }

  /** How many wait, less the waits in the kernel, wanted or not. */
  get unseen(): number {
    return this.#waiters.size - this.#waits.count;
  }

  get waiters(): WaiterList {
    return this.#waiters;
  }

  /** What this thread holds of the file. */
  get holds(): Hold[] {
    return this.#holders.holds;
  }

  /** What all here wait for if only this thread can end it, by a release. */
  get endlessHold(): Hold | undefined {
    return this.#waits.current === undefined ? this.#holders.endless : undefined;
  }

  /** Puts a waiter at the end. `opened` is the file it failed to lock, open for a wait. */
  join(waiter: Waiter, opened?: LockFile): void {
    this.#waiters.add(waiter);
    this.#names.addPath(waiter.request.lockPath);
    waiter.announce();
    if (this.#waiters.first === waiter) this.#serve(opened);
    else opened?.letGo();
  }

  /** Has those who wait here know of a holder. */
  meet(file: LockFile, granted?: Hold | null): void {
    this.#holders.add(file, granted);
  }

  /** Has them know of all in this thread who hold the lock of this open file. */
  meetAll(file: LockFile): void {
    this.#holders.meet(file);
  }

  /** Takes a waiter out who does not want the lock any more. */
  leave(waiter: Waiter): void {
    const wasFirst = this.#waiters.first === waiter;
    this.#waiters.remove(waiter);
    if (!wasFirst) return;
    // The next one gets its wait in the kernel, or nobody does.
    const request = this.#waiters.first?.request;
    if (request?.mode !== this.#waits.mode) this.#waits.leave();
    else if (request !== undefined) this.#waits.current?.changeRequest(request);
    this.#serve();
  }

  /**
   * Waits in the kernel with this thread blocked, at most for that long, and has the granted file
   * taken, or answers why there is none: `status.contended` when the time is over. Asynchronous
   * waiters may go on with the wait that is left behind then.
   */
  waitSync<T extends { readonly hold: Hold }>(
    request: LockRequest,
    opened: LockFile,
    milliseconds: number,
    take: (file: LockFile) => T,
  ): T | number {
    // Those who wait here could do nothing with a grant while their thread is blocked.
    this.#waits.leave();
    try {
      const granted = this.#waits.block(request, opened, milliseconds);
      if (typeof granted === 'number') return granted;
      // Before the others here, one of whom may share the lock: what was granted is known of the latest.
      const taken = take(granted.file);
      if (granted.same) this.meet(granted.file, taken.hold);
      return taken;
    } finally {
      this.#serve();
    }
  }

  /** The first waiter while it waits for others than this thread. */
  get outsider(): Waiter | undefined {
    return this.#waits.current === undefined ? undefined : this.#waiters.first;
  }

  /** Has a waiter take what those who wait elsewhere leave alone. False where nothing is. */
  pass(waiter: Waiter): boolean {
    const wait = this.#waits.current;
    const { request } = waiter;
    // On remote file systems a look could block the event loop for long.
    if (wait === undefined || this.outsider !== waiter || request.remote) return false;
    const file = takePast(request);
    if (file === undefined) return false;
    const same = file.isSame(wait);
    this.#waits.leave();
    this.#turn.end();
    this.#waiters.remove(waiter);
    const hold = waiter.grant(file);
    // Else the others wait for one that was deleted, and learn of that by themselves.
    if (same) this.meet(file, hold);
    this.#serve();
    return true;
  }

  /** Lets go of a file that was opened for a wait here that will not be. */
  decline(opened: LockFile | undefined): void {
    opened?.letGo();
    this.dropIfIdle();
  }

  takeFrom(file: LockFile, holder: Owner): void {
    const { number } = file;
    const head = this.#waiters.first;
    // One that does not want it any more, and is yet to be told, is left to #serve().
    const wanted = head !== undefined && !head.aborted;
    if (wanted && this.#holders.isLast(number) && this.#waits.current === undefined) {
      this.#holders.remove(number);
      this.#handOver(file, head, holder);
      return;
    }
    const result = file.unlock();
    if (result < 0 && file.hold !== null) throw errorFrom(result, file.hold);
    holder.ended();
    this.vanished(number);
    file.recycle();
  }

  vanished(number: number): void {
    this.#holders.remove(number);
    this.#serve();
  }

  /** Brings the first waiters as far as they get: granted, or the first one waiting in the kernel. */
  #serve(opened?: LockFile): void {
    let unused = opened;
    for (;;) {
      const head = this.#waiters.first;
      if (
        head === undefined ||
        this.#waits.current !== undefined ||
        this.#holders.block(head.request)
      ) {
        unused?.letGo();
        // What comes from elsewhere needs an event loop that lives then; one waiter is enough for that.
        if (this.endlessHold === undefined) head?.keepAlive();
        else if (head !== undefined) lookForStuckWaits();
        this.dropIfIdle();
        return;
      }
      const { request } = head;
      if (head.aborted) {
        this.#waiters.remove(head);
        head.reject(request.signal?.reason);
        continue;
      }
      // One attempt must not become a wait.
      const adopted = request.timeout === 0 ? undefined : this.#waits.adopt(request.mode);
      if (adopted !== undefined) {
        unused?.letGo();
        adopted.changeRequest(request);
        this.#waitIn(adopted, head);
        return;
      }
      const file = unused ?? LockFile.take();
      const tried = unused === undefined ? this.#try(head, file, false) : status.contended;
      unused = undefined;
      if (!this.#settle(head, file, tried)) return;
    }
  }

  /** Makes an attempt, or opens the file only, to stand in turn. */
  #try({ request }: Waiter, file: LockFile, inTurn: boolean): number {
    if (request.remote) return status.contended;
    const result = inTurn ? file.openInTurn(request) : file.tryAcquire(request);
    const isOpen = result === status.done || result === status.contended;
    // Those here may wait for another file than before, and the number of the old one be that of any new one.
    if (isOpen && this.#names.move(file.identityAt(request.lockPath))) {
      this.#waits.forgetAbandoned();
      this.#holders.meet(file);
    }
    return result;
  }

  /** Acts on the result of an attempt. False when the first waiter waits in the kernel now. */
  #settle(head: Waiter, file: LockFile, result: number): boolean {
    if (result === status.contended) {
      const started = this.#waits.begin(head.request, file);
      if (started !== status.done) return this.#fail(head, file, started);
      this.#waitIn(file, head);
      return false;
    }
    if (result === status.done) this.#grant(head, file);
    else if (result === status.replaced) file.recycle();
    else this.#fail(head, file, result);
    return true;
  }

  #waitIn(file: LockFile, head: Waiter): void {
    this.#waits.enter(file, head.request.mode);
    head.keepAlive();
    lookPastLater();
  }

  #grant(waiter: Waiter, file: LockFile): void {
    this.#waiters.remove(waiter);
    const hold = waiter.grant(file);
    // Whoever comes to an empty queue looks for the holders itself.
    if (this.#waiters.size > 0) this.#holders.add(file, hold);
  }

  #fail(waiter: Waiter, file: LockFile, result: number): true {
    this.#waiters.remove(waiter);
    const { request } = waiter;
    waiter.reject(result === status.contended ? timeoutError(request) : errorFrom(result, request));
    file.letGo();
    return true;
  }

  /** Whether a request cannot be granted at once, as far as this thread knows. */
  blocks(request: LockRequest): boolean {
    return this.#waiters.size > 0 || this.#holders.block(request);
  }

  /** The wait in the kernel has ended, or an abandoned one has given its lock back. */
  #ended(file: LockFile, result: number): void {
    if (!this.#waits.ended(file)) {
      this.dropIfIdle();
      return;
    }
    this.#turn.end();
    const head = this.#waiters.first;
    // Contended: one attempt on a remote file system, and not this waiter's perhaps, or adopted
    // in the moment in which it ended as one that nobody wants.
    if (result === status.contended && head?.request.timeout === 0) this.#fail(head, file, result);
    else if (head !== undefined) this.#settle(head, file, result);
    if (this.#waiters.size > 0) this.#serve();
    else linger(this);
  }

  #handOver(file: LockFile, head: Waiter, holder: Owner): void {
    const over = this.#turn.isOver(file);
    file.end();
    // Whoever is told of it may do anything: take another lock, which would be the latest grant then,
    // or have the first waiter leave.
    holder.ended();
    if (this.#waiters.first !== head || head.aborted) {
      file.forceUnlock();
      file.recycle();
      this.#serve();
      return;
    }
    const result = over ? this.#yield(file, head) : file.handOver(head.request);
    if (this.#settle(head, file, result)) this.#serve();
  }

  /** Lets the lock go for whoever waits in other processes; the next one here waits behind them. */
  #yield(file: LockFile, head: Waiter): number {
    this.#turn.end();
    if (file.unlock() < status.done) return file.handOver(head.request);
    return this.#try(head, file, true);
  }

  /** Gives the names up once nobody waits, here or in the kernel. */
  dropIfIdle(): void {
    if (this.#waiters.size > 0 || this.#waits.count > 0) return;
    this.#names.drop();
    this.#holders.forget();
  }
}
