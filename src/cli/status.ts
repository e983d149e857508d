import { setTimeout as delay } from 'node:timers/promises';
import { type Command, parse, UsageError } from './command.js';
import { exitCode } from './exit-codes.js';
import { type Row, rowsAt, toCells, toJson } from './status-rows.js';
import { tableOf } from './table.js';

const flags = {
  json: { type: 'boolean', help: 'print JSON' },
  watch: { type: 'boolean', help: 'redraw every second until Ctrl-C' },
} as const;

const refreshMs = 1_000;

// A screen of its own without a cursor, which the shell's one comes back from.
const enterScreen = '\x1b[?1049h\x1b[?25l';
const leaveScreen = '\x1b[?25h\x1b[?1049l';
const home = '\x1b[H';
const eraseLine = '\x1b[K';
const eraseBelow = '\x1b[J';

function toText(rows: Row[]): string {
  return rows.length === 0 ? 'no lock files' : tableOf(toCells(rows)).join('\n');
}

async function draw(paths: string[]): Promise<void> {
  const rows = await rowsAt(paths);
  const { columns, rows: height } = process.stdout;
  const held = rows.filter(({ state }) => state === 'exclusive' || state === 'shared').length;
  const lines = tableOf(toCells(rows), columns);
  const shown = lines.slice(0, Math.max(1, height - 2));
  const hidden = lines.length - shown.length;
  const more = hidden > 0 ? `, ${hidden} more below` : '';
  const summary = `${held} of ${rows.length} held${more} at ${new Date().toLocaleTimeString()}; Ctrl-C ends`;
  const text = [summary.slice(0, columns), ...shown].map((line) => line + eraseLine).join('\n');
  process.stdout.write(home + text + eraseBelow);
}

async function watch(paths: string[]): Promise<number> {
  const ended = new AbortController();
  let wake = new AbortController();
  const end = () => ended.abort();
  const redraw = () => wake.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end);
  // Ctrl-Z: the shell gets its screen and cursor back for as long as this is stopped.
  process.on('SIGTSTP', () => {
    process.stdout.write(leaveScreen);
    process.kill(process.pid, 'SIGSTOP');
  });
  process.on('SIGCONT', () => {
    process.stdout.write(enterScreen);
    redraw();
  });
  process.stdout.on('resize', redraw);
  process.stdout.write(enterScreen);
  try {
    while (!ended.signal.aborted) {
      wake = new AbortController();
      await draw(paths);
      const signal = AbortSignal.any([ended.signal, wake.signal]);
      await delay(refreshMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    process.stdout.off('resize', redraw);
    process.stdout.write(leaveScreen);
  }
  return exitCode.ok;
}

/** `holdfast status`. */
export const status: Command = {
  synopsis: ['[--json | --watch] [PATH...]'],
  about:
    'Shows who holds lock files, held ones first. A folder (default: this one) stands for all *.flock\n' +
    'in it and below, a resource for the lock file beside it, any other file for itself.',
  flags,
  notes:
    'LEASE LEFT is a bound, because renewals are not recorded. WAITERS counts waiting threads.\n' +
    'Exit codes: 0, 64 wrong usage, 74 something could not be looked at.',
  async run(args) {
    const { values, positionals } = parse(flags, args);
    const paths = positionals.length === 0 ? ['.'] : positionals;
    // Of a variable that is not set: it would be the lock file of no resource, which is never held.
    if (paths.includes('')) throw new UsageError('a PATH must not be empty');
    if (values.watch) {
      if (values.json) throw new UsageError('--watch and --json exclude each other');
      if (!process.stdout.isTTY) throw new UsageError('--watch needs a terminal');
      return watch(paths);
    }
    const rows = await rowsAt(paths);
    process.stdout.write(`${values.json ? toJson(rows) : toText(rows)}\n`);
    return rows.some(({ state }) => state === 'error') ? exitCode.ioError : exitCode.ok;
  },
};
