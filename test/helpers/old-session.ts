import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { temporaryFolder } from './folder.js';

/** A session file that does not exist, in a folder of its own. */
export function temporarySession(): string {
  return join(temporaryFolder(), 'a.jsonl');
}

/** What the file of the old protocol says. */
export function payload(file: string): Record<string, unknown> {
  return JSON.parse(readFileSync(`${file}.lock`, 'utf8'));
}

/** The same, or null where it is missing or torn. */
export function payloadOrNull(file: string): Record<string, unknown> | null {
  try {
    return payload(file);
  } catch {
    return null;
  }
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}
