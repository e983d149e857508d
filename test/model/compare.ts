import { basename } from 'node:path';
import {
  heldLocks,
  LockDeadlockError,
  LockExpiredError,
  LockLostError,
  LockTimeoutError,
} from 'holdfast';
import type { Hold, LockModel } from './lock-model.js';
import type { Asked } from './request.js';

/** What must be told of a request whose signal was aborted. */
export const aborted = 'its own reason';

const classes = new Map<string, new (...args: never[]) => Error>([
  ['ERR_LOCK_TIMEOUT', LockTimeoutError],
  ['ERR_LOCK_EXPIRED', LockExpiredError],
  ['ERR_LOCK_LOST', LockLostError],
  ['EDEADLK', LockDeadlockError],
]);

function isRight(error: unknown, { party, controller }: Asked): boolean {
  const failure = party.failure ?? '';
  if (failure === aborted) return error === controller.signal.reason;
  const { code, lockPath } = error as LockLostError;
  const whole = lockPath?.endsWith(`${party.resource.name}.flock`);
  return code === failure && whole && error?.constructor === classes.get(failure);
}

/** What has not come yet for a request that the model has settled, or undefined. */
export function missing(asked: Asked, now: number): string | undefined {
  const { party, lock, error } = asked;
  if (party.state === 'holding' && lock === undefined) return `${party.name} has not got the lock`;
  const late = party.state === 'waiting' && party.deadline <= now;
  if (party.failure === undefined && !late) return undefined;
  if (lock === undefined && error === undefined) return `${party.name} was not refused`;
  if (lock?.held) return `${party.name} has not lost the lock`;
  const told = lock === undefined || lock.signal.aborted;
  return told ? undefined : `${party.name} has not been told of its loss`;
}

/** What is not as in the model, of what will not change by itself. */
export function wrong(asked: Asked): string | undefined {
  const { party, lock, error } = asked;
  const { name, state, failure } = party;
  if (failure !== undefined) {
    const told = lock === undefined ? error : lock.signal.reason;
    const also = lock !== undefined && asked.finish !== undefined ? error : told;
    if (isRight(told, asked) && isRight(also, asked)) return undefined;
    return `${name} should be told of ${failure}, not of ${String(told)} and ${String(also)}`;
  }
  if (error !== undefined) return `${name} is ${state}, but was told of ${String(error)}`;
  if (state === 'waiting') return lock && `${name} got the lock before its time`;
  if (lock === undefined) return undefined;
  if (lock.held !== (state === 'holding')) return `${name} is ${state}, but held is ${lock.held}`;
  if (lock.signal.aborted) return `${name} was told of a loss: ${String(lock.signal.reason)}`;
  if (lock.mode !== party.hold?.mode) return `${name} got ${lock.mode}`;
  return undefined;
}

/** Holds as text, in order; shared ones once, because whoever shares a lock again may share the hold too. */
function listed(holds: string[]): string {
  return holds
    .filter((hold, index) => hold.endsWith('exclusive') || holds.indexOf(hold) === index)
    .sort()
    .join();
}

/** What this thread holds, compared with what it should. */
export function wrongHolds(locks: readonly LockModel[], own: Set<Hold>): string | undefined {
  const expected = locks.flatMap(({ name, holds }) =>
    [...holds].filter((hold) => own.has(hold)).map(({ mode }) => `${name} ${mode}`),
  );
  const held = heldLocks().map(({ lockPath, mode }) => `${basename(lockPath, '.flock')} ${mode}`);
  const [is, should] = [listed(held), listed(expected)];
  return is === should ? undefined : `holds ${is}, and should hold ${should}`;
}

/** Holders of one file that must not be there together, where the model does not know who may. */
export function intruders(lock: LockModel, files: Map<Asked, number>): string | undefined {
  const here = [...files].filter(
    ([{ party, lock: held }]) => party.resource === lock && held?.held,
  );
  for (const [one, file] of here) {
    const other = here.find(
      ([other, same]) =>
        other.party.hold !== one.party.hold && same === file && other.party.mode === 'exclusive',
    );
    if (other) return `${one.party.name} and ${other[0].party.name} hold one file`;
  }
  return undefined;
}

/** Whether tokens grow with each exclusive holder, and whether crashes of those before are known. */
export class Grants {
  readonly #tokens = new Map<string, bigint>();
  readonly #files = new Map<Asked, number>();

  check(asked: Asked): string | undefined {
    const { party, lock } = asked;
    if (asked.checked || lock === undefined || party.hold === undefined) return undefined;
    asked.checked = true;
    if (party.hold.taker !== party) return undefined;
    const { name, generation } = party.resource;
    this.#files.set(asked, generation);
    const before = this.#tokens.get(`${name} ${generation}`) ?? 0n;
    const token = lock.token ?? -1n;
    this.#tokens.set(`${name} ${generation}`, token);
    // A worker may have had the lock in between.
    if (lock.mode === 'exclusive' ? token <= before : token < before)
      return `${party.name} got token ${token} after ${before}`;
    const { afterCrash } = party.hold;
    const seen = lock.previousHolder !== null;
    if (afterCrash !== undefined && seen !== afterCrash)
      return `${party.name} was told ${seen ? 'of a' : 'of no'} crash`;
    return intruders(party.resource, this.#files);
  }
}
