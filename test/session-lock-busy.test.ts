import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from 'holdfast';
import { expect } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { refuse, refuseAtFirst } from './helpers/refusals.js';

const { acquireSessionWriteLock } = await import('holdfast/session-lock');

const test = needs('Windows', 'built-in modules that can be patched');

function session(old?: object) {
  const sessionFile = join(temporaryFolder(), 'a.jsonl');
  const oldPath = `${sessionFile}.lock`;
  if (old !== undefined) writeFileSync(oldPath, JSON.stringify(old));
  return { sessionFile, oldPath };
}

const gone = { pid: 999_999_999 };

// By a reader, or as long as somebody has the one open that was deleted last.
test.for([
  ['openSync', 'EPERM', undefined],
  ['openSync', 'EBUSY', gone],
  ['unlinkSync', 'EBUSY', gone],
] as const)(
  'an old lock that Windows refuses to touch for a moment is taken then (%s, %s)',
  async ([call, code, old]) => {
    const { sessionFile, oldPath } = session(old);
    refuseAtFirst(call, oldPath, code);
    const { release } = await acquireSessionWriteLock({ sessionFile, legacy: true });
    expect(existsSync(oldPath)).toBe(true);
    await release();
    expect(existsSync(oldPath)).toBe(false);
  },
);

test('an old lock that Windows refuses for longer is an error, and stays', async () => {
  const { sessionFile, oldPath } = session({ pid: process.ppid });
  refuse('readFileSync', oldPath, 'EBUSY');
  const taking = acquireSessionWriteLock({ sessionFile, timeoutMs: 60_000, legacy: true });
  await expect(taking).rejects.toMatchObject({ code: 'EBUSY' });
  expect(existsSync(oldPath)).toBe(true);
  using free = tryLock(sessionFile);
  expect(free?.held).toBe(true);
});
