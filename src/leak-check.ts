import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Hold } from './lock-file.js';
import { longestTimer } from './options.js';
import { printable } from './printable.js';
import { onLeak } from './remains.js';
import { traceLeak } from './tracing.js';

/** At most one collection in this many ms for the whole process, when it is done in the background. */
const backgroundIntervalMs = 60_000;
/** At most one collection in this many ms when it is asked for. */
const requestIntervalMs = 100;
const turnsForFinalisers = 8;

interface Watch {
  readonly since: number;
  due: number;
}

const watched = new Map<Hold, Watch>();
let timer: NodeJS.Timeout | undefined;
let nextCheck = Number.POSITIVE_INFINITY;
let lastCollection = Number.NEGATIVE_INFINITY;
let running: Promise<number> | undefined;
let leaked = 0;

onLeak((hold, ageMs) => {
  leaked += 1;
  watched.delete(hold);
  traceLeak(hold);
  const seconds = (ageMs / 1000).toFixed(1);
  const label = hold.label === null ? '' : ` ("${hold.label}")`;
  process.emitWarning(
    printable(
      `the lock on ${hold.resource}${label} was leaked: nothing refers to its holder any more. ` +
        `It was freed after ${seconds} s. Use withLock() or a using block.`,
    ),
    {
      type: 'LockLeakWarning',
      code: 'HOLDFAST_LEAK',
      detail: hold.stack ?? 'Set captureStack: true to see who took it.',
    },
  );
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
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

let collect: (() => void) | undefined;

async function collectLeaked(): Promise<number> {
  const early = lastCollection + requestIntervalMs - performance.now();
  if (early > 0) await sleep(early);
  const before = leaked;
  lastCollection = performance.now();
  // What was looked at weakly in this turn of the event loop would survive a collection in it.
  await nextTurn();
  collect ??= findCollector();
  collect();
  for (let turn = 0; turn < turnsForFinalisers; turn += 1) await nextTurn();
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

/** Checks this hold once it is older than its `leakCheck`, and again at doubling ages. */
export function watchForLeak(hold: Hold): void {
  const since = performance.now();
  const due = since + hold.leakCheck;
  watched.set(hold, { since, due });
  checkAt(due);
}

export function unwatchForLeak(hold: Hold): void {
  watched.delete(hold);
}

function checkAt(due: number): void {
  const at = Math.max(due, lastCollection + backgroundIntervalMs);
  if (at >= nextCheck) return;
  clearTimeout(timer);
  nextCheck = at;
  timer = setTimeout(check, Math.min(Math.max(at - performance.now(), 1), longestTimer));
  timer.unref();
}

function check(): void {
  const now = performance.now();
  nextCheck = Number.POSITIVE_INFINITY;
  let due = false;
  for (const watch of watched.values()) {
    if (watch.due > now) continue;
    due = true;
    watch.due = watch.since + 2 * (now - watch.since);
  }
  if (due) void reclaimLeaked();
  for (const watch of watched.values()) checkAt(watch.due);
}
