import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { ageOf, type Hold } from './hold.js';
import { addon } from './native.js';
import { longestTimer } from './options.js';
import { onNestedLeak } from './owners.js';
import { printable } from './printable.js';
import { onLeak } from './remains.js';
import { traceLeak, traceRelease } from './tracing.js';

/** At most one collection in this many ms for the whole process, when it is done in the background. */
const backgroundIntervalMs = 60_000;
/** At most one collection in this many ms when it is asked for. */
const requestIntervalMs = 100;
const turnsForFinalisers = 8;

// From when on a hold is watched, and when it is due; of the clock that the timers go by.
const watched = new Map<Hold, { since: number; at: number }>();
let timer: NodeJS.Timeout | undefined;
let nextCheck = Number.POSITIVE_INFINITY;
let lastCollection = Number.NEGATIVE_INFINITY;
let turn = Number.NEGATIVE_INFINITY;
let running: Promise<number> | undefined;
let leaked = 0;

function report(leak: Hold, what: string): void {
  leaked += 1;
  traceLeak(leak);
  const seconds = (ageOf(leak) / 1000).toFixed(1);
  const label = leak.label === null ? '' : ` ("${leak.label}")`;
  process.emitWarning(
    printable(
      `the ${what} on ${leak.resource}${label} was leaked: nothing refers to its holder any more. ` +
        `It was freed after ${seconds} s. Either its scope awaited what never comes, or it was taken without ` +
        `withLock() or a using block: keep it in a property of globalThis to hold it until the process ends.`,
    ),
    {
      type: 'LockLeakWarning',
      code: 'HOLDFAST_LEAK',
      detail: leak.stack ?? 'Set captureStack: true to see who took it.',
    },
  );
}

onLeak((hold) => {
  watched.delete(hold);
  report(hold, 'lock');
  traceRelease(hold);
});
onNestedLeak(({ hold, label, since, stack }, outerLives) => {
  // Else it is the lock itself that leaked, or there is none any more.
  if (outerLives) report({ ...hold, label, since, stack }, 'nested lock');
});

// A full collection on request is not in Node's API; this is the documented flag, set late. Bun has
// a call of its own.
function findCollector(): () => void {
  const host = globalThis as { gc?: () => void; Bun?: { gc(force: boolean): void } };
  if (host.gc !== undefined) return host.gc;
  if (host.Bun !== undefined) {
    const { Bun } = host;
    return () => Bun.gc(true);
  }
  // Not imported: it brings all of Node's streams along.
  process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

let collect: (() => void) | undefined;

async function collectLeaked(): Promise<number> {
  const early = lastCollection + requestIntervalMs - performance.now();
  // No longer than that whatever the clock says: it may be the fake one of a test.
  if (early > 0) await sleep(Math.min(early, requestIntervalMs));
  const before = leaked;
  lastCollection = performance.now();
  // What was looked at weakly in this turn of the event loop would survive a collection in it.
  await nextTurn();
  collect ??= findCollector();
  collect();
  for (let count = 0; count < turnsForFinalisers; count += 1) await nextTurn();
  return leaked - before;
}

/**
 * Asks for a full garbage collection and frees the locks whose holders nothing refers to any more.
 * It stops the thread for as long as a full collection takes, some ms for a small heap and hundreds
 * for a large one, so there is one in 100 ms at most: calls that come earlier share the next one.
 *
 * @returns how many leaked locks it freed.
 *
 * @example Before giving up on a lock that this very process holds
 * ```ts
 * import { reclaimLeaked } from 'holdfast';
 *
 * const freed: number = await reclaimLeaked();
 * ```
 */
export function reclaimLeaked(): Promise<number> {
  running ??= collectLeaked().finally(() => {
    running = undefined;
  });
  return running;
}

/** @internal Checks this hold once it is older than its `leakCheck`, and again at doubling ages. */
export function watchForLeak(hold: Hold): void {
  const since = performance.now();
  const at = since + hold.leakCheck;
  watched.set(hold, { since, at });
  checkAt(at);
}

/** @internal */
export function unwatchForLeak(hold: Hold): void {
  watched.delete(hold);
}

function checkAt(due: number): void {
  const at = Math.max(due, lastCollection + backgroundIntervalMs, turn);
  if (at >= nextCheck) return;
  clearTimeout(timer);
  nextCheck = at;
  timer = setTimeout(check, Math.min(Math.max(at - performance.now(), 1), longestTimer));
  // In a test environment such as jsdom a timer is a number.
  timer.unref?.();
}

function check(): void {
  const now = performance.now();
  nextCheck = Number.POSITIVE_INFINITY;
  const due = [...watched.values()].filter(({ at }) => at <= now);
  if (due.length === 0) {
    addon.leaveCollections();
  } else {
    // A collection looks at this thread's heap only, so each thread has to have its turn.
    const wait = addon.takeCollection(backgroundIntervalMs);
    turn = now + wait;
    if (wait === 0) {
      for (const one of due) one.at = now + (now - one.since);
      void reclaimLeaked();
    }
  }
  for (const { at } of watched.values()) checkAt(at);
}
