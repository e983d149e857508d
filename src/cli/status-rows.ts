import { relative } from 'node:path';
import { inspectLockFile, type LockStatus } from '../inspect.js';
import { shortCommand } from '../lock-holder.js';
import { type Found, lockFilesAt } from './lock-files.js';
import type { Cell, Style } from './table.js';

/** A lock file and what was seen of it. */
export type Row = LockStatus | { lockPath: string; state: 'error'; error: Error };

// As many as look at the locks with one reading of /proc/locks.
const together = 256;

async function look(found: Found): Promise<Row> {
  const { lockPath } = found;
  if ('error' in found) return { ...found, state: 'error' };
  try {
    return await inspectLockFile({ resource: lockPath, lockPath });
  } catch (error) {
    return { lockPath, state: 'error', error: error as Error };
  }
}

const urgency = { error: 0, exclusive: 1, shared: 2, free: 3, missing: 4 } as const;

function rank(row: Row): number {
  return row.state === 'free' && row.crashed ? 2.5 : urgency[row.state];
}

/** Looks at all lock files that the paths stand for; held ones come first. */
export async function rowsAt(paths: string[]): Promise<Row[]> {
  const rows: Row[] = [];
  let batch: Found[] = [];
  const flush = async () => {
    rows.push(...(await Promise.all(batch.map(look))));
    batch = [];
  };
  for (const path of paths) {
    for await (const found of lockFilesAt(path)) {
      batch.push(found);
      if (batch.length === together) await flush();
    }
  }
  await flush();
  return rows.sort((a, b) => rank(a) - rank(b));
}

// `0.9 s`, `1m 15s`, `2h 03m`, `3d 4h`.
function durationText(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const two = (value: number) => String(value).padStart(2, '0');
  if (seconds < 60) return `${(milliseconds / 1000).toFixed(1)} s`;
  if (minutes < 60) return `${minutes}m ${two(seconds % 60)}s`;
  if (hours < 24) return `${hours}h ${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

/** The least time in ms that a lease has left; a renewal, which no file records, makes it more. */
function leaseLeft(row: LockStatus): number | null {
  const { holder, ageMs } = row;
  return holder === null || holder.lease === null || ageMs === null
    ? null
    : Math.max(0, holder.lease - ageMs);
}

function leaseText(row: LockStatus): string {
  const left = leaseLeft(row);
  if (left === null) return '-';
  // Held for longer than its lease, it was renewed at some time since.
  return left > 0 ? `≥ ${durationText(left)}` : `≤ ${durationText(row.holder?.lease ?? 0)}`;
}

const styles: Record<Row['state'], Style> = {
  error: 'red',
  exclusive: 'yellow',
  shared: 'cyan',
  free: 'green',
  missing: 'dim',
};

const header = [
  'LOCK FILE',
  'STATE',
  'PID',
  'HOST',
  'LABEL',
  'AGE',
  'LEASE LEFT',
  'WAITERS',
  'COMMAND',
];

function orDash(value: string | number | null | undefined): Cell {
  return value === null || value === undefined
    ? { text: '-', style: 'dim' }
    : { text: String(value) };
}

function shownPath(path: string): string {
  const near = relative('', path);
  return near === '' || near.startsWith('..') ? path : near;
}

function cellsOf(row: Row): Cell[] {
  const file = { text: shownPath(row.lockPath) };
  if (row.state === 'error') {
    return [file, { text: 'error', style: 'red' }, { text: row.error.message, style: 'red' }];
  }
  const { state, crashed, holder, holders, previousHolder } = row;
  const more = holders.length > 1 ? ` +${holders.length - 1}` : '';
  const shownState: Cell = crashed
    ? { text: `${state}, crashed`, style: 'red' }
    : { text: state, style: styles[state] };
  const who = holder ?? previousHolder;
  return [
    file,
    shownState,
    orDash(who === null ? null : `${who.pid}${more}`),
    orDash(who?.host),
    orDash(who?.label),
    orDash(row.ageMs === null ? null : durationText(row.ageMs)),
    { text: leaseText(row) },
    orDash(row.waiters),
    orDash(holder?.command == null ? null : shortCommand(holder.command)),
  ];
}

/** The rows as a table's cells, with a header. */
export function toCells(rows: Row[]): Cell[][] {
  return [header.map((text): Cell => ({ text, style: 'bold' })), ...rows.map(cellsOf)];
}

function escaped(character: string): string {
  const units = character.split('').map((unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'));
  return units.map((unit) => `\\u${unit}`).join('');
}

/** The rows as JSON. */
export function toJson(rows: Row[]): string {
  const plain = rows.map((row) =>
    row.state === 'error'
      ? { lockPath: row.lockPath, state: row.state, error: row.error.message }
      : { ...row, leaseLeftMs: leaseLeft(row) },
  );
  const text = JSON.stringify(plain, null, 2);
  // JSON leaves some characters as they are that steer a terminal.
  return text.replace(/[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}
