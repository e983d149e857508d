import { crc32 } from 'node:zlib';

/** What a record says besides its state; as src/holder-record.ts reads it. */
export interface RecordMembers {
  pid: number;
  start: number;
  host: string;
  boot: string | null;
  pidns: number | null;
  token: string;
  since: number;
  lease: number | null;
  label: string | null;
}

/** The content of a lock file whose holder was this one. */
export function craftRecord(members: RecordMembers, state = 'held'): string {
  const text = JSON.stringify(members).slice(1, -1);
  const crc = crc32(text).toString(16).padStart(8, '0');
  return `${`{"holdfast":1,"state":"${state}","crc":"${crc}",${text}}`.padEnd(511)}\n`;
}
