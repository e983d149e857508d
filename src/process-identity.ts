import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { cut } from './holder-record.js';

/** The text of a file of /proc, or null where there is none. */
export function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function readLink(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

const mostCommandLength = 1_000;
// So that the longest label fits into a record as well.
const mostHostBytes = 64;

/** What tells this process from another one that had or will have the same pid. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks since boot on Linux (proc_pid_stat(5), field 22), else ms since 1970, roughly. */
  start: number;
  host: string;
  /** Linux only: changes with each boot (random(4), boot_id). */
  boot: string | null;
  /** Linux only: the inode of the pid namespace (pid_namespaces(7)). */
  pidns: number | null;
}

// The fields of proc_pid_stat(5) from the state on. The command name before it may contain anything, so
// they are counted from its closing bracket.
function statOf(pid: number | 'self'): string[] | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** The start time that /proc shows for a process, or null where there is none. */
export function startTimeOf(pid: number | 'self'): number | null {
  const field = statOf(pid)?.[19];
  return field === undefined ? null : Number(field);
}

/** Whether a process has ended and nobody has asked for its exit code yet: it holds nothing. Linux only. */
export function isZombie(pid: number): boolean {
  return statOf(pid)?.[0] === 'Z';
}

/** The command line of a process, with its arguments; null where it cannot be told. Linux only. */
export function commandOf(pid: number): string | null {
  const line = readProc(`/proc/${pid}/cmdline`)
    ?.replaceAll('\0', ' ')
    .trim()
    .slice(0, mostCommandLength);
  if (line !== undefined && line !== '') return line;
  return readProc(`/proc/${pid}/comm`)?.trim() ?? null;
}

function identify(): ProcessIdentity {
  const namespace = readLink('/proc/self/ns/pid')?.match(/\d+/)?.[0];
  return {
    pid: process.pid,
    start: startTimeOf('self') ?? Math.round(Date.now() - process.uptime() * 1000),
    host: cut(hostname(), mostHostBytes),
    boot: readProc('/proc/sys/kernel/random/boot_id')?.trim() ?? null,
    pidns: namespace === undefined ? null : Number(namespace),
  };
}

/** This process, as its holder records say it. */
export const processIdentity = identify();
