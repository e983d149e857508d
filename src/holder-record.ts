import { closeSync, constants, openSync, readSync } from 'node:fs';
import { processIdentity, startTimeOf } from './process-identity.js';

/** Who holds or last held a lock exclusively, as that process wrote it into the lock file. */
export interface HolderRecord {
  /** `held` until the holder marks its release; stays `held` when it dies or loses its lease. */
  state: 'held' | 'free';
  pid: number;
  /** Start of the process: clock ticks since boot on Linux, ms since 1970 elsewhere. */
  start: number;
  host: string;
  /** Changes with each boot; Linux only. */
  boot: string | null;
  /** The pid namespace, in which `pid` has its meaning; Linux only. */
  pidns: number | null;
  /** The fencing token of that holder. */
  token: bigint;
  /** When the lock was taken, in ms since 1970. */
  since: number;
  /** The lease in ms, or null. */
  lease: number | null;
  label: string | null;
}

/** Size of a record in bytes; native/holder_record.h has the same. */
export const recordBytes = 512;

const stateOffset = 23;
const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(text: string): number {
  let value = ~0;
  for (const byte of Buffer.from(text)) {
    value = (value >>> 8) ^ (crcTable[(value ^ byte) & 0xff] as number);
  }
  return ~value >>> 0;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function orNull<T>(value: unknown, is: (value: unknown) => value is T): value is T | null {
  return value === null || is(value);
}

function toRecord(value: unknown): HolderRecord | null {
  if (typeof value !== 'object' || value === null) return null;
  const { state, pid, start, host, boot, pidns, token, since, lease, label } = value as Record<
    keyof HolderRecord,
    unknown
  >;
  if (state !== 'held' && state !== 'free') return null;
  if (!isCount(pid) || !isCount(start) || !isText(host) || !orNull(boot, isText)) return null;
  if (!orNull(pidns, isCount) || !isCount(since) || !orNull(lease, isCount)) return null;
  if (!orNull(label, isText) || !isText(token) || !/^\d{1,20}$/.test(token)) return null;
  return { state, pid, start, host, boot, pidns, token: BigInt(token), since, lease, label };
}

/**
 * Reads a record from the content of a lock file. Whatever else stands there, torn, foreign or
 * hostile, gives null and never throws.
 */
export function parseHolderRecord(content: string): HolderRecord | null {
  const line =
    /^\{"holdfast":1,"state":"(?:held|free)","crc":"([0-9a-f]{8})",(.{1,512}?)\} *\n/.exec(
      content.slice(0, recordBytes),
    );
  if (line === null) return null;
  const [, crc, members] = line as unknown as [string, string, string];
  if (crc32(members) !== Number.parseInt(crc, 16)) return null;
  try {
    return toRecord(
      JSON.parse(`{"state":"${content.slice(stateOffset, stateOffset + 4)}",${members}}`),
    );
  } catch {
    return null;
  }
}

/** The record in the lock file at this path; null where there is none that can be read. */
export function readHolderRecord(lockPath: string): HolderRecord | null {
  let fd: number;
  try {
    // A FIFO or a symbolic link planted at the path must neither block nor lead elsewhere.
    fd = openSync(
      lockPath,
      constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0),
    );
  } catch {
    return null;
  }
  try {
    const buffer = Buffer.alloc(recordBytes);
    return parseHolderRecord(buffer.toString('utf8', 0, readSync(fd, buffer, 0, recordBytes, 0)));
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}

/** Makes text from elsewhere fit for a terminal: no control and no direction-changing characters. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

/** Where and in which state the recorded process is, seen from this one. */
export function locate(record: HolderRecord): 'this process' | 'alive' | 'dead' | 'elsewhere' {
  const here = processIdentity;
  if (record.host !== here.host || record.pidns !== here.pidns) return 'elsewhere';
  if (record.boot !== here.boot) return 'dead';
  if (record.pid === here.pid && record.start === here.start) return 'this process';
  const start = startTimeOf(record.pid);
  if (start !== null) return start === record.start ? 'alive' : 'dead';
  try {
    process.kill(record.pid, 0);
    return 'alive';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'alive' : 'dead';
  }
}

const whereabouts = {
  'this process': ', which is this very process',
  alive: '',
  dead: ' (that process is gone)',
  elsewhere: ' (another host or pid namespace)',
};

/** One line about a holder for an error message: `held for 12.3 s by pid 4242 on host gw-1 ("x")`. */
export function describeHolder(record: HolderRecord): string {
  const seconds = Math.max(0, (Date.now() - record.since) / 1000).toFixed(1);
  const label = record.label === null ? '' : ` ("${printable(record.label)}")`;
  return (
    `held for ${seconds} s by pid ${record.pid} on host ${printable(record.host)}${label}` +
    whereabouts[locate(record)]
  );
}
