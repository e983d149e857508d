import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lock, printable, reclaimLeaked, releaseAll, tryLock, withLock } from 'holdfast';
import { jsonlStore, jsonStore, type StandardSchema } from 'holdfast/json-store';
import { acquireSessionWriteLock, cleanStaleLockFiles, withFileLock } from 'holdfast/session-lock';
import { expect, test } from 'vitest';
import { fileLockOptions } from './helpers/file-lock-options.js';
import { temporaryFolder } from './helpers/folder.js';
import { lost } from './helpers/lost.js';
import { needs } from './helpers/needs.js';

const hostile = 'x\x1b[31m\x07\u202e\u2028\u2029\x9b2J';
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const unprintable = /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/;

test('printable() leaves letters, marks and emoji alone', () => {
  const text = 'append reply: Grüße, 日本語, \u0301, 😀 "{}"';
  expect(printable(text)).toBe(text);
  expect(printable(hostile)).toBe('x\ufffd[31m\ufffd\ufffd\ufffd\ufffd\ufffd2J');
});

/** What rejects or throws must have such a message; what it says in properties stays as it was given. */
async function expectPrintable(action: () => unknown): Promise<Error & { resource?: string }> {
  const error = await Promise.resolve()
    .then(action)
    .then(
      () => new Error('it did not fail'),
      (caught) => caught,
    );
  expect(error.message).toContain('\ufffd');
  expect(error.message).not.toMatch(unprintable);
  return error;
}

const inHostileFolder = needs('control characters in file names');

function hostileResource(): string {
  return join(temporaryFolder(), hostile);
}

inHostileFolder(
  'no error of a lock has escape codes of a path or a label in its message',
  async () => {
    const resource = hostileResource();
    const label = hostile;
    const held = tryLock(resource, { label });
    const { resource: property } = await expectPrintable(() => lock(resource, { timeout: 1 }));
    expect(property).toBe(resource);
    held?.release();
    await expectPrintable(() => held?.assertHeld());
    await expectPrintable(() =>
      withLock(resource, { label }, () => withLock(resource, { label }, () => {})),
    );
    await expectPrintable(() => withLock(resource, { lease: 1 }, () => new Promise(() => {})));
    await expectPrintable(() =>
      withLock(resource, () => {
        releaseAll();
        return new Promise(() => {});
      }),
    );
    await expectPrintable(() => tryLock(`${resource}/below/it`));
    await expectPrintable(() => tryLock(resource, { mode: hostile as 'shared' }));
    writeFileSync(`${resource}.flock`, 'of somebody else');
    await expectPrintable(() => tryLock(resource));
    mkdirSync(`${resource}2`);
    await expectPrintable(() => tryLock('x', { lockPath: `${resource}2` }));
  },
);

inHostileFolder('the warning about a leaked lock has no escape codes', async () => {
  const resource = hostileResource();
  void withLock(resource, { label: hostile }, () => new Promise(() => {}));
  const warned = once(process, 'warning');
  while ((await reclaimLeaked()) === 0);
  const [{ name, message }] = await warned;
  expect(name).toBe('LockLeakWarning');
  expect(message).toContain('\ufffd');
  expect(message).not.toMatch(unprintable);
});

const refusing: StandardSchema<unknown> = {
  '~standard': {
    version: 1,
    validate: () => ({ issues: [{ message: hostile, path: [hostile] }] }),
  },
};

inHostileFolder('no error of a store has escape codes of a path or a content', async () => {
  const file = hostileResource();
  await expectPrintable(() => jsonStore(file).write(undefined));
  await expectPrintable(() => jsonlStore(file).append(undefined));
  writeFileSync(file, '\x9b');
  await expectPrintable(() => jsonStore(file).read());
  writeFileSync(file, '1');
  await expectPrintable(() => jsonStore(file, { schema: refusing }).read());
  await expectPrintable(() =>
    jsonStore(file).update(() => {
      writeFileSync(file, '22');
      return 3;
    }),
  );
});

inHostileFolder('nothing about a session has escape codes of its path', async () => {
  const sessionsDir = temporaryFolder();
  const sessionFile = join(sessionsDir, `${hostile}.jsonl`);
  const held = tryLock(sessionFile);
  await expectPrintable(() => acquireSessionWriteLock({ sessionFile, timeoutMs: 1 }));
  await expectPrintable(() => withFileLock(sessionFile, fileLockOptions(1), () => {}));
  held?.renew(1);
  await lost(held?.signal as AbortSignal);
  const warnings: string[] = [];
  await cleanStaleLockFiles({ sessionsDir, log: { warn: (text) => warnings.push(text) } });
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).not.toMatch(unprintable);
});
