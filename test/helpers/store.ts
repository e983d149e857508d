import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from './folder.js';

/** The path of a JSON file in a folder of its own, with this content if any. */
export function temporaryStore(content?: string): string {
  const file = join(temporaryFolder(), 'state.json');
  if (content !== undefined) writeFileSync(file, content);
  return file;
}
