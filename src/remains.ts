import type { Hold } from './hold.js';
import type { LockFile, Successor } from './lock-file.js';
import { addon } from './native.js';

// There is no handle 0.
const all: (Remains | undefined)[] = [undefined];
const freeNumbers: number[] = [];
const leakListeners: LeakListener[] = [];

type LeakListener = (hold: Hold) => void;

/** Registers what is told about a hold that was ended by the garbage collector. */
export function onLeak(listener: LeakListener): void {
  leakListeners.push(listener);
}

/**
 * What is left of a lock file object that was collected. While the object exists this is the weak
 * reference to it as well: there may be many thousands of them.
 */
export class Remains extends WeakRef<LockFile> {
  /** That of the native handle; used again once this is gone. */
  readonly number: number;
  hold: Hold | null = null;
  successor: Successor | null = null;

  constructor(file: LockFile) {
    super(file);
    this.number = freeNumbers.pop() ?? all.length;
    all[this.number] = this;
    addon.openHandle(this.number);
    collected.register(file, this);
  }

  static of(number: number): Remains | undefined {
    return all[number];
  }

  static *all(): Generator<Remains> {
    for (const remains of all) if (remains !== undefined) yield remains;
  }

  /** The object was collected. If it held a lock, nobody would ever have released that. */
  end(): void {
    const { number, hold, successor } = this;
    addon.closeHandle(number);
    all[number] = undefined;
    freeNumbers.push(number);
    if (hold === null || hold.ended) return;
    hold.ended = true;
    successor?.vanished(number);
    for (const listener of leakListeners) listener(hold);
  }
}

const collected = new FinalizationRegistry<Remains>((remains) => remains.end());
