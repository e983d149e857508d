import { readFileSync, writeFileSync } from 'node:fs';
import { lock, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { temporaryResource } from './helpers/folder.js';

const data = 'what the lock is for may be the lock file itself\n';

test.each([data, ''])(
  'what a holder puts into the lock file that it has named stays: %j',
  (content) => {
    const lockPath = temporaryResource();
    const held = tryLock('x', { lockPath });
    writeFileSync(lockPath, content);
    held?.release();
    expect(readFileSync(lockPath, 'utf8')).toBe(content);
  },
);

test('what a holder puts there stays when the lock goes to one that writes no record', async () => {
  const lockPath = temporaryResource();
  const held = await lock('x', { lockPath });
  const waiting = lock('x', { lockPath, record: false });
  writeFileSync(lockPath, data);
  held.release();
  using next = await waiting;
  expect(next.held).toBe(true);
  expect(readFileSync(lockPath, 'utf8')).toBe(data);
});

test('what a holder puts there stays when somebody waits who would write a record, and is refused', async () => {
  const lockPath = temporaryResource();
  const held = await lock('x', { lockPath });
  const waiting = lock('x', { lockPath });
  writeFileSync(lockPath, data);
  held.release();
  await expect(waiting).rejects.toMatchObject({ code: 'ERR_LOCK_FOREIGN_FILE', lockPath });
  expect(readFileSync(lockPath, 'utf8')).toBe(data);
  using later = tryLock('x', { lockPath, record: false });
  expect(later?.held).toBe(true);
});

test('the mark of a release and the next record are written where the first record still is', async () => {
  const lockPath = temporaryResource();
  const held = await lock('x', { lockPath });
  const waiting = lock('x', { lockPath });
  held.release();
  const next = await waiting;
  expect(next).toMatchObject({ token: 2n, previousHolder: null });
  next.release();
  expect(readFileSync(lockPath, 'utf8')).toContain('"state":"free"');
});
