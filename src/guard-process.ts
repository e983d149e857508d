import { setTimeout } from 'node:timers';
import { assertObject, duration } from './arguments.js';
import { describeThrown } from './errors.js';
import { lostError } from './loss.js';
import { longestTimer } from './options.js';
import { currentScope, lockOf, type Scope } from './scope.js';

/** What `guardProcess` can be told. */
export interface GuardOptions {
  /** How long a broken scope has to finish before it loses its lock, in ms. Default 1,000. */
  grace?: number | undefined;
}

const defaultGraceMs = 1_000;

// Node emits unhandledRejection in every mode, but only in these its default does not depend on
// whether somebody listens (node(1), --unhandled-rejections). The command line wins over the variable.
function rejectionListenersAreHarmless(): boolean {
  const flags = [process.env['NODE_OPTIONS'], ...process.execArgv].join(' ');
  const modes = [...flags.matchAll(/--unhandled[-_]rejections[= ](\S+)/g)];
  return ['warn', 'none'].includes(modes.at(-1)?.[1] ?? '');
}

// Several guards in one process must not take each other for a handler that somebody else installed.
const ours = new WeakSet<object>();

function breakScope(scope: Scope, error: unknown, grace: number): void {
  const { hold } = scope;
  const what = `the scope that holds the lock on ${hold.resource} broke: ${describeThrown(error)}`;
  const loss = lostError(what, hold, error);
  hold.broken ||= grace <= longestTimer;
  lockOf(scope)?.announceLoss(loss);
  if (grace > longestTimer) return;
  setTimeout(() => lockOf(scope)?.takeAway(loss), grace).unref();
}

/**
 * From now on, an unhandled rejection or an uncaught exception inside a `withLock` scope aborts
 * `lock.signal`, and after `grace` takes the lock away and rejects `withLock`, if this process
 * survives the error at all. Whether it does, is what it was without the guard.
 *
 * Two kinds go unseen. Before Node.js 24 nothing tells which scope an exception in a callback of
 * `queueMicrotask` came from. And with `--unhandled-rejections=warn-with-error-code`, a rejection is
 * seen only while somebody else listens for those: a listener of this one's would change the exit code.
 *
 * @returns a function that undoes it.
 * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) when options is not an object, or grace not a number of ms, 0 or more.
 *
 * @example In a server that logs unhandled rejections and lives on
 * ```ts
 * import { guardProcess } from 'holdfast';
 *
 * process.on('unhandledRejection', (reason) => console.error(reason));
 * const undo = guardProcess({ grace: 500 });
 * undo();
 * ```
 */
export function guardProcess(options: GuardOptions = {}): () => void {
  assertObject('options', options);
  const grace = duration('grace', options.grace === undefined ? defaultGraceMs : options.grace, 0);

  const onError = (error: unknown) => {
    const scope = currentScope();
    if (scope !== undefined) breakScope(scope, error, grace);
  };
  ours.add(onError);
  // A listener of unhandledRejection keeps the process from crashing, so there is one of ours only
  // while there is another. Without any, the rejection comes as an uncaught exception.
  const others = () =>
    process.listeners('unhandledRejection').some((listener) => !ours.has(listener));
  let guarding = true;
  const follow = () => {
    const wanted = guarding && (rejectionListenersAreHarmless() || others());
    const present = process.listeners('unhandledRejection').includes(onError);
    if (wanted && !present) process.prependListener('unhandledRejection', onError);
    if (!wanted && present) process.off('unhandledRejection', onError);
  };
  const onRemove = (event: string | symbol) => {
    if (event === 'unhandledRejection') follow();
  };
  // Emitted before the listener is there.
  const onAdd = (event: string | symbol) => {
    if (event === 'unhandledRejection') queueMicrotask(follow);
  };

  follow();
  process.on('newListener', onAdd);
  process.on('removeListener', onRemove);
  process.on('uncaughtExceptionMonitor', onError);
  return () => {
    process.off('newListener', onAdd);
    process.off('removeListener', onRemove);
    process.off('uncaughtExceptionMonitor', onError);
    // For a listener that has just been added, too: what was put off until it is there comes after this.
    guarding = false;
    follow();
  };
}
