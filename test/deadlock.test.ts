import { setImmediate as nextTurn } from 'node:timers/promises';
import { type LockOptions, lock, withLock } from 'holdfast';
import { expect, test } from 'vitest';
import { temporaryResource } from './helpers/folder.js';
import { patience } from './helpers/slowness.js';

/** A point that several tasks have to reach before any of them goes on. */
function barrier(count: number): () => Promise<void> {
  let missing = count;
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return () => {
    missing -= 1;
    if (missing === 0) open();
    return opened;
  };
}

function outcomes(tasks: Promise<unknown>[]): Promise<string[]> {
  return Promise.all(
    tasks.map((task) =>
      task.then(
        () => 'done',
        (error) => error.code,
      ),
    ),
  );
}

test.each([2, 3])('a cycle of %i tasks is found when it closes', async (count) => {
  const resources = Array.from({ length: count }, temporaryResource);
  const everybodyHoldsOne = barrier(count);
  const tasks = resources.map((resource, index) =>
    withLock(resource, { label: `task ${index}` }, async () => {
      await everybodyHoldsOne();
      await withLock(resources[(index + 1) % count] as string, () => {});
    }),
  );
  const results = await outcomes(tasks);
  expect(results.filter((result) => result === 'EDEADLK')).toHaveLength(1);
  expect(results.filter((result) => result === 'done')).toHaveLength(count - 1);
  const error = await Promise.any(tasks.map((task) => task.then(() => Promise.reject(), String)));
  expect(error).toMatch(/"task \d".*whose holder waits for.*"task \d"/);
});

test('tasks that take locks in the same order are no deadlock', async () => {
  const [first, second] = [temporaryResource(), temporaryResource()];
  const task = () => withLock(first, () => withLock(second, async () => {}));
  await expect(Promise.all(Array.from({ length: 50 }, task))).resolves.toHaveLength(50);
});

test('a task that merely queues behind a waiting one is no deadlock', async () => {
  const [first, second] = [temporaryResource(), temporaryResource()];
  const bothInside = barrier(2);
  const holder = withLock(second, async () => {
    await bothInside();
    await withLock(first, { timeout: patience }, () => {});
  });
  const other = withLock(first, async () => {
    await bothInside();
  });
  await expect(outcomes([holder, other])).resolves.toEqual(['done', 'done']);
});

test('shared locks that do not exclude each other are no deadlock', async () => {
  const [first, second] = [temporaryResource(), temporaryResource()];
  const bothInside = barrier(2);
  const task = (mine: string, others: string) =>
    withLock(mine, { mode: 'shared' }, async () => {
      await bothInside();
      await withLock(others, { mode: 'shared' }, () => {});
    });
  const results = outcomes([task(first, second), task(second, first)]);
  await expect(results).resolves.toEqual(['done', 'done']);
});

test('a wait with a timeout ends by itself and is no deadlock', async () => {
  const [first, second] = [temporaryResource(), temporaryResource()];
  const bothInside = barrier(2);
  const limited = withLock(first, async () => {
    await bothInside();
    await withLock(second, { timeout: 50 }, () => {});
  });
  const patient = withLock(second, async () => {
    await bothInside();
    await withLock(first, () => {});
  });
  await expect(outcomes([limited, patient])).resolves.toEqual(['ERR_LOCK_TIMEOUT', 'done']);
});

test('a wait that was given up is no part of a later cycle', async () => {
  const [first, second] = [temporaryResource(), temporaryResource()];
  await withLock(first, async () => {
    const other = await lock(second);
    const controller = new AbortController();
    const given = lock(second, { signal: controller.signal });
    controller.abort(new Error('changed my mind'));
    await expect(given).rejects.toThrow('changed my mind');
    other.release();
    await withLock(second, () => {});
  });
});

/** Two scopes that wait for each other if the second one, a reader, waits for the writer before it. */
async function readerBehindWriter(
  limits: LockOptions,
  last: 'reader' | 'other' = 'other',
): Promise<string[]> {
  const [first, second] = [temporaryResource(), temporaryResource()];
  const bothInside = barrier(3);
  const writerWaits = barrier(3);
  const reader = withLock(first, { mode: 'shared' }, async () => {
    await bothInside();
    await writerWaits();
    if (last === 'reader') await nextTurn();
    await withLock(second, () => {});
  });
  const other = withLock(second, async () => {
    await bothInside();
    await writerWaits();
    if (last === 'other') await nextTurn();
    await withLock(first, { mode: 'shared' }, () => {});
  });
  await bothInside();
  const writer = withLock(first, limits, () => {});
  await writerWaits();
  return outcomes([reader, other, writer]);
}

test('a reader behind a writer that will give up does not wait for the other readers', async () => {
  const results = await readerBehindWriter({ timeout: 50 });
  expect(results).toEqual(['done', 'done', 'ERR_LOCK_TIMEOUT']);
});

test.each(['reader', 'other'] as const)(
  'a reader behind a writer that never gives up is part of a cycle, which the %s closes',
  async (last) => {
    const results = await readerBehindWriter({}, last);
    expect(results.filter((result) => result === 'EDEADLK')).toHaveLength(1);
  },
);

test('waits with very many ways through them are looked through at once', async () => {
  const tasks: Promise<void>[] = [];
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  let next = () => ended;
  // Each level has two holders, both of which wait for both of the level before.
  for (let level = 0; level < 23; level += 1) {
    const resource = temporaryResource();
    const bothInside = barrier(2);
    const wait = next;
    const task = () =>
      withLock(resource, { mode: 'shared' }, async () => {
        const waiting = wait();
        await bothInside();
        await waiting;
      });
    tasks.push(task(), task());
    await bothInside();
    next = () => withLock(resource, () => {});
  }
  end();
  await Promise.all(tasks);
});
