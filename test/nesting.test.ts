import { AsyncResource } from 'node:async_hooks';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import {
  type FileLock,
  lock,
  lockSync,
  openScope,
  reclaimLeaked,
  tryLock,
  withLock,
} from 'holdfast';
import { expect, test } from 'vitest';
import { linkedPathTo, temporaryResource } from './helpers/folder.js';
import { lost } from './helpers/lost.js';
import { needs } from './helpers/needs.js';
import { patience } from './helpers/slowness.js';

const outside = new AsyncResource('outside of every scope');

/** Runs a function as if the test had called it, whatever scope it is called in. */
function withoutScope<T>(fn: () => T): T {
  return outside.runInAsyncScope(fn);
}

test('a scope that wants its own lock again is told at once, with both places', async () => {
  const resource = temporaryResource();
  await withLock(resource, { label: 'outer' }, async () => {
    const inner = withLock(resource, { label: 'inner' }, () => {});
    await expect(inner).rejects.toMatchObject({ name: 'LockDeadlockError', code: 'EDEADLK' });
    await expect(inner).rejects.toThrow(/for "inner".*"outer"/);
    await expect(lock(resource)).rejects.toMatchObject({ code: 'EDEADLK' });
  });
});

test('a scope that waits for itself is told what to do, whatever the modes', async () => {
  const resource = temporaryResource();
  await withLock(resource, async () => {
    for (const mode of ['exclusive', 'shared'] as const) {
      await expect(lock(resource, { mode })).rejects.toThrow(/Use reentrant: true to nest\.$/);
      using nested = await lock(resource, { mode, reentrant: true });
      expect(nested.held).toBe(true);
    }
    expect(() => lockSync(resource)).toThrow(/Release it first, or use lock\(\)/);
  });
  await withLock(resource, { mode: 'shared' }, async (held) => {
    const exclusive = lock(resource, { reentrant: true });
    await expect(exclusive).rejects.toThrow(/Release that one first, or take it exclusively/);
    held.release();
    (await lock(resource)).release();
  });
});

test('a scope that wants a shared lock exclusively is told at once', async () => {
  const resource = temporaryResource();
  await withLock(resource, { mode: 'shared' }, async () => {
    await expect(lock(resource)).rejects.toMatchObject({ code: 'EDEADLK' });
    await expect(lock(resource, { reentrant: true })).rejects.toMatchObject({ code: 'EDEADLK' });
  });
});

test('a shared scope may take the shared lock again', async () => {
  const resource = temporaryResource();
  await withLock(resource, { mode: 'shared' }, async () => {
    await using second = await lock(resource, { mode: 'shared' });
    expect(second.held).toBe(true);
  });
});

test('lockSync() on a lock of the same thread is told at once', async () => {
  const resource = temporaryResource();
  using _ = tryLock(resource);
  expect(() => lockSync(resource)).toThrow(expect.objectContaining({ code: 'EDEADLK' }));
});

test('lockSync() waits for a holder of the same thread whose lease will end', () => {
  const resource = temporaryResource();
  tryLock(resource, { lease: 50 });
  using held = lockSync(resource, { timeout: patience });
  expect(held.held).toBe(true);
});

test('reentrant: true nests, and the lock is free after the outermost release', async () => {
  const resource = temporaryResource();
  await withLock(resource, async (outer) => {
    await withLock(resource, { reentrant: true }, async (inner) => {
      expect(inner.token).toBe(outer.token);
      await withLock(resource, { reentrant: true }, () => {});
    });
    expect(outer.held).toBe(true);
    expect(tryLock(resource)).toBeNull();
  });
  expect(tryLock(resource)?.held).toBe(true);
});

test('20 tasks that may nest still enter one after the other', async () => {
  const resource = temporaryResource();
  let count = 0;
  const increment = async () => {
    const seen = count;
    await nextTurn();
    count = seen + 1;
  };
  const task = () => withLock(resource, { reentrant: true }, increment);
  await Promise.all(Array.from({ length: 20 }, task));
  expect(count).toBe(20);
});

test('20 siblings inside one scope enter one after the other', async () => {
  const resource = temporaryResource();
  let count = 0;
  await withLock(resource, async () => {
    const increment = async () => {
      const seen = count;
      await nextTurn();
      count = seen + 1;
    };
    const sibling = () =>
      withLock(resource, { reentrant: true }, () =>
        withLock(resource, { reentrant: true }, increment),
      );
    await Promise.all(Array.from({ length: 20 }, sibling));
  });
  expect(count).toBe(20);
});

test('a sibling that waits to nest can be given up', async () => {
  const resource = temporaryResource();
  await withLock(resource, async () => {
    const first = await lock(resource, { reentrant: true });
    await expect(lock(resource, { reentrant: true, timeout: 20 })).rejects.toMatchObject({
      code: 'ERR_LOCK_TIMEOUT',
    });
    first.release();
    await using again = await lock(resource, { reentrant: true, timeout: 20 });
    expect(again.held).toBe(true);
  });
});

test('a detached promise that outlives its scope gets a lock of its own', async () => {
  const resource = temporaryResource();
  let ended: () => void = () => {};
  const scopeEnded = new Promise<void>((resolve) => {
    ended = resolve;
  });
  let detached: Promise<FileLock> | undefined;
  const token = await withLock(resource, (outer) => {
    detached = scopeEnded.then(() => lock(resource, { reentrant: true }));
    return outer.token;
  });
  ended();
  const own = await (detached as Promise<FileLock>);
  expect(own.token).toBe((token ?? 0n) + 1n);
  expect(tryLock(resource)).toBeNull();
  own.release();
});

test('a nested lock that outlives the outer release keeps the file locked until its own', async () => {
  const resource = temporaryResource();
  const nested = await withLock(resource, () => lock(resource, { reentrant: true }));
  expect(nested.held).toBe(true);
  expect(tryLock(resource)).toBeNull();
  nested.release();
  expect(tryLock(resource)?.held).toBe(true);
});

test('a lock that nests has the lease of the outer one, and neither shortens nor begins it', async () => {
  for (const lease of [undefined, 60_000]) {
    const resource = temporaryResource();
    await withLock(resource, lease === undefined ? {} : { lease }, async (outer) => {
      await using nested = await lock(resource, { reentrant: true, lease: 1 });
      nested.renew();
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(outer.held).toBe(true);
    });
  }
});

needs('async hooks of promises')(
  'who nests learns of the end of a lease that the outer holder does not live to see',
  async () => {
    const nested = await (async () => {
      const outer = await openScope(lock(temporaryResource(), { lease: 300 }));
      const inner = await lock(outer.resource, { reentrant: true });
      outer.release();
      return inner;
    })();
    await reclaimLeaked();
    await lost(nested.signal);
    expect(nested.signal.reason).toMatchObject({ code: 'ERR_LOCK_EXPIRED' });
  },
);

test.each([false, true])(
  'a shared scope may take the shared lock again while a writer waits, reentrant: %s',
  async (reentrant) => {
    const resource = temporaryResource();
    let writer: Promise<string> | undefined;
    await withLock(resource, { mode: 'shared' }, async (outer) => {
      writer = withoutScope(() => withLock(resource, () => 'wrote'));
      await using again = await lock(resource, { mode: 'shared', reentrant });
      expect(again.mode).toBe('shared');
      outer.release();
      expect(again.held).toBe(true);
    });
    await expect(writer).resolves.toBe('wrote');
  },
);

needs('symbolic links')(
  'a scope that came by another path than those who wait is told of its own lock as well',
  async () => {
    const resource = temporaryResource();
    const alias = linkedPathTo(resource);
    const first = await lock(resource);
    const waiting = [lock(resource), lock(resource)];
    first.release();
    const second = await waiting[0];
    // Then the next one has to step aside for other processes, and the lock is free for a moment.
    await sleep(15);
    second?.release();
    // Whoever is faster: the one that waits in a thread may have it before.
    const third = waiting[1]?.then((own) => own.release());
    await withLock(alias, async () => {
      await expect(lock(resource, { timeout: 500 })).rejects.toMatchObject({ code: 'EDEADLK' });
    });
    await third;
  },
);

test('a sibling that gives up after its scope has ended is not given a lock', async () => {
  const resource = temporaryResource();
  let nested: FileLock | undefined;
  let sibling: Promise<FileLock> | undefined;
  await withLock(resource, async () => {
    nested = await lock(resource, { reentrant: true });
    sibling = lock(resource, { reentrant: true, timeout: 100 });
  });
  // In front of the sibling, once that one waits for a lock of its own.
  const stranger = withoutScope(() => lock(resource));
  await sleep(50);
  nested?.release();
  const held = await stranger;
  await expect(sibling).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
  held.release();
  using later = tryLock(resource);
  expect(later?.held).toBe(true);
});
