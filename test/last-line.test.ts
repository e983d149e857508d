import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lastLine } from '../src/json-store/last-line.js';
import { temporaryFolder } from './helpers/folder.js';

// An append to a line without its end that did not reach the disk is taken back up to there.
test('a whole last line stays whole when what was behind it is taken back while it is read', async () => {
  const file = join(temporaryFolder(), 'session.jsonl');
  const sizeBefore = '{"turn":1}\n{"turn":2}\n'.length;
  writeFileSync(file, '{"turn":1}');
  const handle = await open(file);
  const { text, whole } = await lastLine(handle, sizeBefore);
  await handle.close();
  expect([text.toString(), whole]).toEqual(['{"turn":1}', true]);
});
