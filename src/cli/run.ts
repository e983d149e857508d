import { accessSync, closeSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { LockTimeoutError } from '../errors.js';
import type { FileLock } from '../file-lock.js';
import { isForeign, recordBytes } from '../holder-record.js';
import { inspectLockFile, type LockStatus } from '../inspect.js';
import { lock } from '../lock.js';
import { describeHolders } from '../lock-holder.js';
import { status } from '../native.js';
import { type LockMode, type LockOptions, longestTimer } from '../options.js';
import { errorFrom } from '../system-error.js';
import { type CommandLine, runToEnd } from './child.js';
import { type Command, complain, parseLeading, toMilliseconds, UsageError } from './command.js';
import { exitCode } from './exit-codes.js';
import { lockInheritable } from './inheritable-lock.js';
import { readStart } from './read-start.js';
import { lockUnrecorded } from './unrecorded-lock.js';

const flags = {
  shared: { type: 'boolean', short: 's', help: 'share the lock with other shared holders' },
  exclusive: { type: 'boolean', short: 'x', help: 'hold the lock alone (default)' },
  nonblock: { type: 'boolean', short: 'n', help: 'fail at once when the lock is held' },
  wait: { type: 'string', short: 'w', value: 'SECONDS', help: 'fail when it is still held then' },
  'conflict-exit-code': {
    type: 'string',
    short: 'E',
    value: 'NUMBER',
    help: 'exit code of such a failure (default 1)',
  },
  lease: {
    type: 'string',
    short: 'l',
    value: 'SECONDS',
    help: 'lose the lock, and end COMMAND, when this process hangs so long',
  },
  label: { type: 'string', value: 'TEXT', help: 'what the lock is for, shown to who waits' },
  inherit: {
    type: 'boolean',
    help: 'COMMAND and its children hold it too, until the last one ends',
  },
  quiet: { type: 'boolean', short: 'q', help: 'do not say who holds the lock on a failure' },
} as const;

interface Plan {
  file: string;
  command: CommandLine;
  options: LockOptions & { mode: LockMode; timeout: number };
  inherit: boolean;
  conflictCode: number;
  quiet: boolean;
}

function toCommand(words: string[]): CommandLine {
  const [first, second, ...more] = words;
  if ((first === '-c' || first === '--command') && second !== undefined && more.length === 0) {
    return { line: second };
  }
  if (first === '-c' || first === '--command') {
    throw new UsageError(`${first} takes one SHELL COMMAND, and nothing after it`);
  }
  const [program, ...args] = first === '--' ? words.slice(1) : words;
  if (program === undefined) {
    throw new UsageError('a COMMAND is missing: holdfast run FILE -- COMMAND [ARGUMENT...]');
  }
  return { program, args };
}

function toExitCode(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) > 255) {
    throw new UsageError(`--conflict-exit-code must be from 0 to 255, not '${text}'`);
  }
  return Number(text);
}

const endsInSlash = process.platform === 'win32' ? /[\\/]$/ : /\/$/;

function plan(args: string[]): Plan {
  const { values, rest } = parseLeading(flags, args);
  const { shared, exclusive, nonblock, wait, lease, label, inherit = false } = values;
  const [file, ...words] = rest[0] === '--' ? rest.slice(1) : rest;
  if (file === undefined || file === '--') throw new UsageError('a FILE is missing');
  // The library would take the name without it.
  if (endsInSlash.test(file))
    throw inOwnWords(errorFrom(status.notRegular, { resource: file, lockPath: file }));
  if (shared && exclusive) throw new UsageError('--shared and --exclusive exclude each other');
  if (inherit && process.platform === 'win32')
    throw new UsageError('--inherit: Windows locks cannot be inherited');
  if (inherit && (lease !== undefined || label !== undefined))
    throw new UsageError('--inherit excludes --lease and --label');
  const waiting = wait === undefined ? Number.POSITIVE_INFINITY : toMilliseconds('wait', wait);
  const leaseMs = lease === undefined ? undefined : toMilliseconds('lease', lease);
  if (leaseMs === 0) throw new UsageError('--lease must be above 0');
  return {
    file,
    command: toCommand(words),
    options: {
      lockPath: file,
      mode: shared ? 'shared' : 'exclusive',
      timeout: nonblock ? 0 : waiting,
      lease: leaseMs,
      label,
    },
    inherit,
    conflictCode: toExitCode(values['conflict-exit-code'] ?? '1'),
    quiet: values.quiet ?? false,
  };
}

// Windows says the first.
const unwritable = new Set(['EPERM', 'EACCES', 'EROFS']);

/** Whether a record may be written: not over other content, and not where this user must not write. */
function takesRecord(path: string): boolean {
  try {
    if (isForeign(readStart(path, recordBytes + 1).toString('latin1'))) return false;
    accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    // One that is missing is made; what else is wrong is left to the lock.
    const { code = '' } = error as NodeJS.ErrnoException;
    return !unwritable.has(code);
  }
}

async function runInheriting({ file, options, command }: Plan): Promise<number> {
  const fd = await lockInheritable(file, options.mode, options.timeout);
  try {
    return await runToEnd(command, fd);
  } finally {
    // Not unlocked: a child that still has it open holds it.
    closeSync(fd);
  }
}

async function lockGuarded({ file, options }: Plan): Promise<FileLock> {
  const deadline = performance.now() + options.timeout;
  try {
    if (takesRecord(file)) return await lock(file, options);
  } catch (error) {
    // Whoever held it meanwhile has filled it.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_LOCK_FOREIGN_FILE') throw error;
  }
  const timeout = Math.max(0, deadline - performance.now());
  return lockUnrecorded(file, { ...options, timeout });
}

async function runGuarded(planned: Plan): Promise<number> {
  const { options, command } = planned;
  const held = await lockGuarded(planned);
  const renewal = options.lease === undefined ? undefined : renewing(held, options.lease);
  try {
    const code = await runToEnd(command, undefined, held.signal);
    if (!held.signal.aborted) return code;
    complain(held.signal.reason);
    return exitCode.temporaryFailure;
  } finally {
    clearInterval(renewal);
    letGo(held);
  }
}

/** COMMAND has run: what is wrong now does not change its exit code, and the lock ends with this process. */
function letGo(held: FileLock): void {
  try {
    held.release();
  } catch (error) {
    complain(error);
  }
}

function renewing(held: FileLock, lease: number): NodeJS.Timeout {
  const interval = Math.min(lease / 3, longestTimer);
  return setInterval(() => {
    // Not asked before: it may be lost between the two. Its signal says so as well.
    try {
      held.renew();
    } catch {}
  }, interval);
}

const unseen: Pick<LockStatus, 'state' | 'holders'> = { state: 'exclusive', holders: [] };

/** Why the lock was not granted: who holds it now. */
async function conflict({ file, options: { timeout } }: Plan): Promise<string> {
  const after = timeout === 0 ? '' : ` after ${timeout / 1000} s`;
  const details = { resource: file, lockPath: resolve(file) };
  // Windows lets nobody look into a file that another program does not share.
  const { state, holders } = await inspectLockFile(details).catch(() => unseen);
  const by =
    state === 'free' || state === 'missing' ? 'free again by now' : describeHolders(holders);
  return `${file} was not locked${after}: ${by}`;
}

/** An error of the library, whose advice names options that nobody can give here. */
function inOwnWords(error: unknown): unknown {
  if (error instanceof Error) {
    error.message = error.message
      .replace('set lockPath to', 'let FILE be')
      .replace('set record to false', 'use --inherit');
  }
  return error;
}

/** `holdfast run`. */
export const run: Command = {
  synopsis: ['[OPTION...] FILE -- COMMAND [ARGUMENT...]', "[OPTION...] FILE -c 'SHELL COMMAND'"],
  about:
    'Locks FILE, creating it where it is missing, runs COMMAND, and unlocks when COMMAND has ended.\n' +
    'It excludes flock(1) and every other program that locks FILE with flock(2).',
  flags,
  notes:
    'Exit codes: those of COMMAND, 128 + n when signal n ended it; --conflict-exit-code when the lock\n' +
    'was not granted; 64 wrong usage, 65 FILE cannot be locked, 66 FILE cannot be opened, 69 COMMAND\n' +
    'cannot be executed, 71 out of system resources, 73 FILE cannot be created, 74 its record cannot be\n' +
    'written, 75 the lease was lost.',
  async run(args) {
    const planned = plan(args);
    try {
      return await (planned.inherit ? runInheriting(planned) : runGuarded(planned));
    } catch (error) {
      if (!(error instanceof LockTimeoutError)) throw inOwnWords(error);
      if (!planned.quiet) complain(await conflict(planned));
      return planned.conflictCode;
    }
  },
};
