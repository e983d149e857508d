import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { type FileLock, lock, openScope, releaseAll, tryLock, withLock } from 'holdfast';
import { afterEach, expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';

const nesting = { reentrant: true };

afterEach(() => void releaseAll());

/** A task that notes how many of its kind were there at the most. */
function crowd() {
  let inside = 0;
  const seen = { most: 0 };
  const task = async () => {
    inside += 1;
    seen.most = Math.max(seen.most, inside);
    await sleep(20);
    inside -= 1;
  };
  return { task, seen };
}

test('a sibling waits for what still nests in one that has ended', async () => {
  const resource = temporaryResource();
  const { task, seen } = crowd();
  await withLock(resource, async () => {
    let detached: Promise<void> | undefined;
    await withLock(resource, nesting, () => {
      detached = withLock(resource, nesting, task);
    });
    await Promise.all([withLock(resource, nesting, task), detached]);
  });
  expect(seen.most).toBe(1);
  expect(tryLock(resource)?.held).toBe(true);
});

test('what an ended sibling left behind takes turns with the others', async () => {
  const resource = temporaryResource();
  const { task, seen } = crowd();
  await withLock(resource, async () => {
    let detached: Promise<void> | undefined;
    await withLock(resource, nesting, () => {
      detached = nextTurn().then(() => withLock(resource, nesting, task));
    });
    await Promise.all([withLock(resource, nesting, task), detached]);
  });
  expect(seen.most).toBe(1);
});

test('what was left behind by one that nested inside of another lock takes turns as well', async () => {
  const resource = temporaryResource();
  const other = temporaryResource();
  const { task, seen } = crowd();
  await withLock(resource, async () => {
    let detached: Promise<void> | undefined;
    await withLock(other, () =>
      withLock(resource, nesting, () => {
        detached = nextTurn().then(() => withLock(resource, nesting, task));
      }),
    );
    await Promise.all([withLock(resource, nesting, task), detached]);
  });
  expect(seen.most).toBe(1);
});

test('what nests in two scopes of one lock takes turns', async () => {
  const resource = temporaryResource();
  const { task, seen } = crowd();
  await withLock(resource, async (outer) => {
    const opened = async () => {
      await openScope(Promise.resolve(outer));
      await withLock(resource, nesting, task);
    };
    await Promise.all([withLock(resource, nesting, task), opened()]);
  });
  expect(seen.most).toBe(1);
});

// More than there is room for on the stack, if each of them called the next one.
test('10,000 siblings that wait when their scope loses its lock get locks of their own, in order', async () => {
  const resource = temporaryResource();
  const order: number[] = [];
  const tasks: Promise<number>[] = [];
  const scope = withLock(resource, async () => {
    await lock(resource, nesting);
    for (let index = 0; index < 10_000; index += 1) {
      tasks.push(withLock(resource, nesting, () => order.push(index)));
    }
    await new Promise(() => {});
  });
  await nextTurn();
  expect(releaseAll()).toBe(1);
  await expect(scope).rejects.toMatchObject({ code: 'ERR_LOCK_LOST' });
  await Promise.all(tasks);
  expect(order).toEqual(Array.from(tasks.keys()));
});

test('one timeout covers the wait for a sibling and, when the scope has ended, for a lock of its own', async () => {
  const resource = temporaryResource();
  const timeout = 1_000;
  // Referred to until the end, so that no collection can free it.
  const nested: FileLock[] = [];
  const waiting = await new Promise<Promise<unknown>[]>((begun) => {
    const scope = withLock(resource, async () => {
      nested.push(await lock(resource, { reentrant: true }));
      begun([scope, lock(resource, { reentrant: true, timeout })]);
      await new Promise(() => {});
    });
  });
  const outcomes = Promise.allSettled(waiting);
  await sleep(0.8 * timeout);
  const ended = performance.now();
  releaseAll();
  using _ = tryLock(resource);
  expect(await outcomes).toMatchObject([
    { reason: { code: 'ERR_LOCK_LOST' } },
    { reason: { code: 'ERR_LOCK_TIMEOUT' } },
  ]);
  expect(performance.now() - ended).toBeLessThan(0.9 * timeout);
  expect(nested[0]?.held).toBe(false);
});

test('a nested lock that leaked lets its siblings go on, and is reported, while the outer one lives', async () => {
  const actor = await Actor.start();
  const outcome = await actor.run(({ holdfast, kept }, resource) => {
    const warnings: string[] = [];
    process.removeAllListeners('warning').on('warning', ({ message }) => warnings.push(message));
    return holdfast.withLock(resource, async (outer) => {
      kept['outer'] = outer;
      const leak = async () => {
        await holdfast.lock(resource, { reentrant: true, label: 'forgotten', captureStack: true });
      };
      await leak();
      const sibling = holdfast.lock(resource, { reentrant: true });
      const freed = await holdfast.reclaimLeaked();
      (await sibling).release();
      return { freed, warnings, held: outer.held, again: await holdfast.reclaimLeaked() };
    });
  }, temporaryResource());
  expect(outcome).toEqual({
    freed: 1,
    warnings: [expect.stringMatching(/the nested lock on .* \("forgotten"\) was leaked/)],
    held: true,
    again: 0,
  });
});

test('a nested lock that was released after a while is not taken for one that leaked', async () => {
  const actor = await Actor.start();
  const freed = await actor.run(
    ({ holdfast }, resource) =>
      holdfast.withLock(resource, async () => {
        const use = async () => {
          const nested = await holdfast.lock(resource, { reentrant: true });
          await new Promise((resolve) => setTimeout(resolve, 1));
          await new Promise(setImmediate);
          nested.release();
        };
        await use();
        return holdfast.reclaimLeaked();
      }),
    temporaryResource(),
  );
  expect(freed).toBe(0);
});

test('who waits to nest in a scope that leaked with what nests there gets a lock of its own', async () => {
  const actor = await Actor.start({ quiet: true });
  const held = await actor.run(async ({ holdfast, kept }, resource) => {
    void holdfast.withLock(resource, () => {
      const leak = async () => void (await holdfast.lock(resource, { reentrant: true }));
      void leak();
      kept['sibling'] = holdfast.lock(resource, { reentrant: true });
      return new Promise(() => {});
    });
    await holdfast.reclaimLeaked();
    return (await kept['sibling']).held;
  }, temporaryResource());
  expect(held).toBe(true);
});

// That the lock is gone is known in a later turn of the event loop, and somebody waits for it until then.
test('who asks in a scope that was collected just now gets a lock of its own', async () => {
  const actor = await Actor.start({ execArgv: ['--expose-gc'], quiet: true });
  const granted = await actor.run(async ({ holdfast }, resource) => {
    const { gc } = globalThis as unknown as { gc(): void };
    let granted = 0;
    const take = async () => {
      (await holdfast.lock(resource, { reentrant: true })).release();
      granted += 1;
    };
    const asked = new Promise<unknown>((resolve) => {
      void holdfast.withLock(resource, () => {
        setTimeout(() => {
          gc();
          resolve(Promise.all([take(), take()]));
        }, 1);
        return new Promise(() => {});
      });
    });
    const waiting = take();
    await asked;
    await holdfast.reclaimLeaked();
    await waiting;
    return granted;
  }, temporaryResource());
  expect(granted).toBe(3);
});

test('a nested lock that leaked does not outlive the outer one', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start({ quiet: true });
  await actor.run(
    ({ holdfast }, path) =>
      holdfast.withLock(path, async () => {
        void holdfast.withLock(path, { reentrant: true }, () => new Promise(() => {}));
        await holdfast.reclaimLeaked();
      }),
    resource,
  );
  expect(tryLock(resource)?.held).toBe(true);
});

test('who waits for a nested scope that leaked is told of the end of the lease', async () => {
  const actor = await Actor.start({ quiet: true });
  const outcome = await actor.run(async ({ holdfast, kept }, resource) => {
    kept['interval'] = setInterval(() => {}, 1_000);
    let reclaimed = 0;
    const codes: string[] = [];
    const scope = holdfast.withLock(resource, { lease: 600_000 }, async (outer) => {
      kept['outer'] = outer;
      const inner = holdfast.withLock(resource, { reentrant: true }, () => new Promise(() => {}));
      await inner.catch(({ code }) => codes.push(code));
    });
    await new Promise(setImmediate);
    reclaimed = await holdfast.reclaimLeaked();
    kept['outer'].renew(20);
    await scope.catch(({ code }) => codes.push(code));
    return { reclaimed, codes };
  }, temporaryResource());
  expect(outcome.reclaimed).toBe(1);
  expect(outcome.codes).toEqual(['ERR_LOCK_EXPIRED', 'ERR_LOCK_EXPIRED']);
});

test('what listens to the loss of a lock may take it again, and nobody ends that by a late release', async () => {
  const resource = temporaryResource();
  let again: ReturnType<typeof tryLock> = null;
  const scope = withLock(resource, async (outer) => {
    const inner = await lock(resource, nesting);
    outer.signal.addEventListener('abort', () => {
      again = tryLock(resource);
      inner.release();
      expect(inner.held).toBe(false);
    });
    await new Promise(() => {});
  });
  await nextTurn();
  expect(releaseAll()).toBe(1);
  await expect(scope).rejects.toMatchObject({ code: 'ERR_LOCK_LOST' });
  expect(again).toMatchObject({ held: true });
  expect(tryLock(resource)).toBeNull();
});
