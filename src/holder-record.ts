/** Who holds or last held a lock exclusively, as that process wrote it into the lock file. */
export interface HolderRecord {
  /** `held` until the holder marks its release; stays `held` when it dies or loses its lease. */
  state: 'held' | 'free';
  /** As that process knew itself, in its own pid namespace. */
  pid: number;
  /** Start of the process: clock ticks since boot on Linux, ms since 1970 elsewhere. */
  start: number;
  /** The host name, cut to 64 bytes. */
  host: string;
  /** Changes with each boot; Linux only. */
  boot: string | null;
  /** The pid namespace, in which `pid` has its meaning; Linux only. */
  pidns: number | null;
  /** The fencing token of that holder; a string in JSON. */
  token: bigint;
  /** When the lock was taken, in ms since 1970. */
  since: number;
  /** The lease in ms, or null. */
  lease: number | null;
  /** What the lock was for. */
  label: string | null;
}

/** Size of a record in bytes; native/holder_record.h has the same. */
export const recordBytes = 512;

/** As much of a text as takes no more than so many bytes in the JSON of a record, without the quotes. */
export function cut(text: string, mostBytes: number): string {
  let short = text.slice(0, mostBytes);
  while (Buffer.byteLength(JSON.stringify(short)) > mostBytes + 2) {
    short = Array.from(short).slice(0, -1).join('');
  }
  return short;
}

const stateOffset = 23;
const latestTime = 8.64e15;
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

/** Lets JSON have the token as a string: it has no integers that large, and would throw. */
export function withJson<T extends { token: bigint | null }>(value: T): T {
  const toJSON = () => ({ ...value, token: value.token === null ? null : String(value.token) });
  return Object.defineProperty(value, 'toJSON', { value: toJSON });
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

// What a Date can hold, so that whoever makes one of it gets a time.
function isTime(value: unknown): value is number {
  return isCount(value) && value <= latestTime;
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
  if (!orNull(pidns, isCount) || !isTime(since) || !orNull(lease, isCount)) return null;
  if (!orNull(label, isText) || !isText(token) || !/^\d{1,20}$/.test(token)) return null;
  const who = { pid, start, host, boot, pidns };
  return withJson<HolderRecord>({ state, ...who, token: BigInt(token), since, lease, label });
}

/**
 * Reads a record from the content of a lock file. Whatever else stands there, torn, foreign or
 * hostile, gives null and never throws.
 */
export function parseHolderRecord(content: string): HolderRecord | null {
  // Not a dot, which JSON's unescaped U+2028 and U+2029 are no characters for.
  const line =
    /^\{"holdfast":1,"state":"(?:held|free)","crc":"([0-9a-f]{8})",([^\r\n]{1,512}?)\} *\n/.exec(
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

/**
 * Whether a file that begins like this belongs to somebody else, and is left as it is. As
 * native/holder_record.cc decides it: neither empty, nor as many zeros as a record has bytes, nor a
 * record of any version. A record whose token has no next one is refused there as well.
 *
 * @param content more than `recordBytes` of it where there is more, one byte for each character.
 */
export function isForeign(content: string): boolean {
  if (!/[^\0]/.test(content)) return content.length > recordBytes;
  return !/^\{"holdfast":\d,"state":"/.test(content);
}
