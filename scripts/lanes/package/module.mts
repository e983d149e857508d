// A user's ES module: it has to compile against the installed package's types.
import {
  type FileLock,
  type LockOptions,
  LockTimeoutError,
  lock,
  tryLock,
  withLock,
} from 'holdfast';
import { type JsonStore, jsonStore } from 'holdfast/json-store';
import { acquireSessionWriteLock, type SessionWriteLock } from 'holdfast/session-lock';

const options: LockOptions = { mode: 'shared', timeout: 1000, label: 'types' };

export async function hold(): Promise<bigint> {
  await using held: FileLock = await lock('a', options);
  using more = tryLock(new URL('file:///b'));
  const token: bigint | undefined = more?.token ?? held.token;
  return token ?? 0n;
}

export const result: Promise<number> = withLock('c', { lease: 1000 }, async (held) => {
  held.assertHeld();
  return 1;
}).catch((error: unknown) => {
  if (error instanceof LockTimeoutError) return error.holder === null ? 2 : 3;
  throw error;
});

// @ts-expect-error the mode is one of two words
tryLock('d', { mode: 'upgrade' });

export const store: JsonStore<{ count: number }> = jsonStore('e.json', { indent: 0 });

export const session: Promise<SessionWriteLock> = acquireSessionWriteLock({ sessionFile: 'f' });
