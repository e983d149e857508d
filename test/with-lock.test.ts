import { setImmediate as nextTurn } from 'node:timers/promises';
import { lock, releaseAll, tryLock, withLock } from 'holdfast';
import { expect, test } from 'vitest';
import { temporaryResource } from './helpers/folder.js';

function isFree(resource: string): boolean {
  const held = tryLock(resource);
  held?.release();
  return held !== null;
}

test('withLock returns what the function returns, and frees the lock', async () => {
  const resource = temporaryResource();
  await expect(withLock(resource, () => 42)).resolves.toBe(42);
  expect(isFree(resource)).toBe(true);
  await expect(withLock(resource, async () => 43)).resolves.toBe(43);
  expect(isFree(resource)).toBe(true);
});

test('withLock holds the lock while the function runs', async () => {
  const resource = temporaryResource();
  await withLock(resource, async (held) => {
    await nextTurn();
    expect(held.held).toBe(true);
    expect(isFree(resource)).toBe(false);
  });
});

test('withLock frees the lock when the function throws before its first await', async () => {
  const resource = temporaryResource();
  const thrower = () => {
    throw new Error('at once');
  };
  await expect(withLock(resource, thrower)).rejects.toThrow('at once');
  expect(isFree(resource)).toBe(true);
});

test('withLock frees the lock when the function rejects', async () => {
  const resource = temporaryResource();
  const rejecter = async () => {
    await nextTurn();
    throw new Error('later');
  };
  await expect(withLock(resource, rejecter)).rejects.toThrow('later');
  expect(isFree(resource)).toBe(true);
});

test('withLock frees the lock when what the function returns cannot be asked whether it is a promise', async () => {
  const resource = temporaryResource();
  const hostile = {
    // biome-ignore lint/suspicious/noThenProperty: that is what is tested
    get then() {
      throw new Error('at its then');
    },
  };
  await expect(withLock(resource, () => hostile)).rejects.toThrow('at its then');
  expect(isFree(resource)).toBe(true);
});

test.each(['then', 'constructor'])(
  'withLock frees the lock when a promise has a %s of its own that throws',
  async (name) => {
    const resource = temporaryResource();
    const hostile = Object.defineProperty(Promise.resolve(), name, {
      get: () => () => {
        throw new Error('at its own');
      },
      ...(name === 'constructor' && {
        get() {
          throw new Error('at its own');
        },
      }),
    });
    await expect(withLock(resource, () => hostile)).rejects.toThrow('at its own');
    expect(isFree(resource)).toBe(true);
  },
);

test('a function may release the lock early', async () => {
  const resource = temporaryResource();
  await withLock(resource, async (held) => {
    held.release();
    expect(isFree(resource)).toBe(true);
  });
});

test('withLock rejects when releaseAll() takes the lock, even if the function never settles', async () => {
  const resource = temporaryResource();
  let never: Promise<unknown> | undefined;
  const signal = await new Promise<AbortSignal>((begun) => {
    never = withLock(resource, (held) => {
      begun(held.signal);
      return new Promise(() => {});
    });
  });
  expect(releaseAll()).toBe(1);
  await expect(never).rejects.toMatchObject({ code: 'ERR_LOCK_LOST' });
  expect(signal.aborted).toBe(true);
  expect(isFree(resource)).toBe(true);
});

test('await using frees the lock at the end of its block', async () => {
  const resource = temporaryResource();
  {
    await using held = await lock(resource);
    expect(held.held).toBe(true);
  }
  expect(isFree(resource)).toBe(true);
});

test('using frees the lock when the block throws', () => {
  const resource = temporaryResource();
  const block = () => {
    using _ = tryLock(resource);
    throw new Error('out of the block');
  };
  expect(block).toThrow('out of the block');
  expect(isFree(resource)).toBe(true);
});

test('withLock refuses to run without a function', async () => {
  // @ts-expect-error a caller without types
  await expect(withLock(temporaryResource(), {})).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
  });
});
