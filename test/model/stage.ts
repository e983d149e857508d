import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { FileLock } from 'holdfast';
import { randomFrom } from '../helpers/random.js';
import { patience } from '../helpers/slowness.js';
import { aborted, Grants, missing, wrong, wrongHolds } from './compare.js';
import { type Hold, LockModel, type Mode, type Party } from './lock-model.js';
import { Asked } from './request.js';
import type { WorkerHolder } from './worker-holder.js';

/** Where the locks of a game are, and what can be done there. */
export interface Board {
  readonly folder: string;
  /** The same folder, by another path. */
  readonly link: string | undefined;
  /** Whether lock files can be deleted and replaced. */
  readonly replaces: boolean;
  readonly opensScopes: boolean;
}

/** What is played with: a few locks, all requests for them, and the model that they are compared with. */
export class Stage {
  readonly board: Board;
  readonly random: (below: number) => number;
  readonly locks = ['a', 'b', 'c'].map((name) => new LockModel(name));
  /** All requests but those that have come to nothing and were found right. */
  asked: Asked[] = [];
  /** The clock of the timers, in ms. */
  now = 0;
  /** Another thread that holds or wants one of the locks, until it is terminated. */
  worker: WorkerHolder | undefined;
  readonly #trace: string[] = [];
  readonly #grants = new Grants();
  #count = 0;

  constructor(board: Board, seed: number) {
    this.board = board;
    this.random = randomFrom(seed);
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[this.random(list.length)];
  }

  anyLock(): LockModel {
    return this.locks[this.random(this.locks.length)] as LockModel;
  }

  anyMode(): Mode {
    return this.random(3) === 0 ? 'shared' : 'exclusive';
  }

  pathOf({ name }: LockModel): string {
    const { folder, link } = this.board;
    return `${link !== undefined && this.random(4) === 0 ? link : folder}/${name}`;
  }

  party(
    resource: LockModel,
    mode: Mode,
    timeout = Number.POSITIVE_INFINITY,
    leased = false,
  ): Party {
    this.#count += 1;
    const name = `${resource.name}${this.#count}`;
    return { name, mode, resource, deadline: this.now + timeout, leased, state: 'waiting' };
  }

  ask(party: Party): Asked {
    const asked = new Asked(party);
    this.asked.push(asked);
    return asked;
  }

  /** Those that can release. What others who wait to nest do when theirs ends is not in the model. */
  holders(): Asked[] {
    return this.asked.filter(({ party, lock }) => {
      const { state, hold } = party;
      const awaited = hold !== undefined && hold.siblings.length > 0 && hold.nested !== party;
      return state === 'holding' && lock !== undefined && !awaited;
    });
  }

  /** The holds of this thread. */
  holds(): Set<Hold> {
    const holding = this.asked.filter(({ party }) => party.state === 'holding');
    return new Set(holding.flatMap(({ party }) => party.hold ?? []));
  }

  note(text: string): void {
    this.#trace.push(text);
  }

  fail(what: string): never {
    throw new Error(`${what}\n${this.#trace.join('\n')}`);
  }

  /** Waits until all has come that has to, and fails if something else does, or nothing. */
  async settle(): Promise<void> {
    const end = performance.now() + patience;
    await nextTurn();
    for (let looks = 0; ; looks += 1) {
      this.#followAll();
      const late =
        this.asked.map((asked) => missing(asked, this.now)).find((text) => text !== undefined) ??
        this.#stuck();
      if (late === undefined) break;
      if (performance.now() > end) this.fail(late);
      await (looks < 20 ? nextTurn() : sleep(1));
    }
    await nextTurn();
    // In that turn somebody may have got a lock of which the model does not know who is next.
    this.#followAll();
    this.#check();
    this.asked = this.asked.filter(({ party }) => party.state !== 'gone');
  }

  #followAll(): void {
    for (const asked of this.asked) this.#follow(asked);
  }

  /** Takes over what the model cannot know. */
  #follow(asked: Asked): void {
    const { party, lock, error, givenUp } = asked;
    const { resource, state } = party;
    if (lock === undefined && error === undefined) return;
    if (resource.unsure && state === 'waiting' && lock !== undefined) resource.adopt(party);
    const late = party.deadline <= this.now && error !== undefined;
    if (resource.unsure && state === 'waiting' && late) resource.leave(party, 'ERR_LOCK_TIMEOUT');
    if (givenUp && state === 'holding' && error !== undefined) {
      resource.release(party);
      party.failure = aborted;
    }
    asked.givenUp = false;
  }

  /** Where the model does not know who is next, somebody has to be when nobody holds the lock. */
  #stuck(): string | undefined {
    const stuck = ({ unsure, holds, queue }: LockModel) =>
      unsure && holds.size === 0 && queue.length > 0;
    const lock = this.locks.find(stuck);
    return lock && `nobody gets ${lock.name}, which is free`;
  }

  #check(): void {
    for (const asked of this.asked) {
      const what = wrong(asked) ?? this.#grants.check(asked);
      if (what !== undefined) this.fail(what);
    }
    const holds = wrongHolds(this.locks, this.holds());
    if (holds !== undefined) this.fail(holds);
  }

  took(party: Party, lock: FileLock): void {
    party.resource.take(party);
    const asked = this.ask(party);
    asked.lock = lock;
    const what = this.#grants.check(asked);
    if (what !== undefined) this.fail(what);
  }
}
