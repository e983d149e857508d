import { channel } from 'node:diagnostics_channel';
import { readFile } from 'node:fs';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { type FileLock, lock, openScope, reclaimLeaked, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryFolder, temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';

const hooked = needs('async hooks of promises');

function take(resource: string, timeout = Number.POSITIVE_INFINITY): Promise<FileLock> {
  return openScope(lock(resource, { reentrant: true, timeout }));
}

function deferred() {
  let resolve: (value?: unknown) => void = () => {};
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

const busy = { code: 'ERR_LOCK_TIMEOUT' };

hooked('who awaits a lock with a scope may take it again, counted', async () => {
  const resource = temporaryResource();
  const outer = await take(resource);
  const inner = await take(resource);
  expect(inner.token).toBe(outer.token);
  outer.release();
  expect(tryLock(resource)).toBeNull();
  inner.release();
  using later = tryLock(resource);
  expect(later?.held).toBe(true);
});

hooked(
  'the first scope of a process, waited for, reaches what its function does later',
  async () => {
    const resource = temporaryResource();
    const held = tryLock(resource);
    const actor = await Actor.start();
    const nested = actor.run(async ({ holdfast, emit }, path) => {
      const waiting = async () => {
        const pending = holdfast.openScope(holdfast.lock(path));
        setTimeout(emit, 0, 'waiting');
        const outer = await pending;
        await new Promise((resolve) => setImmediate(resolve));
        const inner = await holdfast.lock(path, { reentrant: true, timeout: 0 });
        return inner.token === outer.token;
      };
      return waiting();
    }, resource);
    await actor.next('waiting');
    held?.release();
    expect(await nested).toBe(true);
  },
);

hooked('the scope reaches what its function calls, however deep', async () => {
  const resource = temporaryResource();
  using outer = await take(resource);
  const deeper = async () => {
    await nextTurn();
    return (await take(resource, 0)).token;
  };
  const deep = async () => {
    await sleep(1);
    return deeper();
  };
  expect(await deep()).toBe(outer.token);
});

hooked('what hangs on the promised lock with then() is inside of the scope', async () => {
  const resource = temporaryResource();
  const token = await take(resource).then(async (outer) => [
    outer.token,
    (await take(resource, 0)).token,
  ]);
  expect(token[0]).toBe(token[1]);
});

test('a task that was started in the same tick is outside of the scope', async () => {
  const resource = temporaryResource();
  const release = deferred();
  const holder = async () => {
    using _ = await take(resource);
    await release.promise;
  };
  const sibling = async () => {
    await nextTurn();
    await expect(take(resource, 0)).rejects.toMatchObject(busy);
    release.resolve();
  };
  await Promise.all([holder(), sibling()]);
});

test('whoever starts the holder and goes on by itself is outside of the scope', async () => {
  const resource = temporaryResource();
  const earlier = sleep(1);
  await nextTurn();
  const release = deferred();
  const holder = (async () => {
    using _ = await take(resource);
    await release.promise;
  })();
  await earlier;
  await expect(take(resource, 0)).rejects.toMatchObject(busy);
  release.resolve();
  await holder;
});

test('a callback that was registered in the same tick does not pass for the holder', async () => {
  const resource = temporaryResource();
  const asked = deferred();
  const held = take(resource);
  readFile(import.meta.filename, () => {
    asked.resolve(expect(take(resource, 0)).rejects.toMatchObject(busy));
  });
  using _ = await held;
  await asked.promise;
});

test('20 tasks with scopes of their own enter one after the other', async () => {
  const resource = temporaryResource();
  let count = 0;
  const task = async () => {
    using _ = await take(resource);
    const before = count;
    await nextTurn();
    count = before + 1;
  };
  await Promise.all(Array.from({ length: 20 }, task));
  expect(count).toBe(20);
});

hooked('20 tasks that nest in one scope enter one after the other', async () => {
  const resource = temporaryResource();
  using _ = await take(resource);
  let count = 0;
  const task = async () => {
    using _ = await take(resource);
    const before = count;
    await nextTurn();
    count = before + 1;
  };
  await Promise.all(Array.from({ length: 20 }, task));
  expect(count).toBe(20);
});

hooked('a request without reentrant: true is told of the deadlock', async () => {
  const resource = temporaryResource();
  using _ = await take(resource);
  await expect(lock(resource)).rejects.toMatchObject({ code: 'EDEADLK' });
});

test('when its lock was released, a scope holds nothing', async () => {
  const resource = temporaryResource();
  (await take(resource)).release();
  using other = tryLock(resource);
  expect(other?.held).toBe(true);
  await expect(take(resource, 0)).rejects.toMatchObject(busy);
});

hooked('the scope does not keep a lock that nothing refers to', async () => {
  const resource = temporaryResource();
  const lose = async () => {
    const held = await take(resource);
    setInterval(() => {}, 1_000).unref();
    expect(held.held).toBe(true);
  };
  await lose();
  await nextTurn();
  expect(await reclaimLeaked()).toBeGreaterThan(0);
  using free = tryLock(resource);
  expect(free?.held).toBe(true);
});

hooked('who takes each lock before it lets go of the last one keeps none of them', async () => {
  const folder = temporaryFolder();
  const holds: WeakRef<object>[] = [];
  const note = (hold: unknown) => void holds.push(new WeakRef(hold as object));
  channel('tracing:holdfast:hold:start').subscribe(note);
  const held = [await take(`${folder}/0`), await take(`${folder}/1`)];
  for (let count = 2; count < 8; count += 1) {
    held.push(await take(`${folder}/${count}`));
    held.shift()?.release();
  }
  channel('tracing:holdfast:hold:start').unsubscribe(note);
  await reclaimLeaked();
  // Two that are held, and the one that was let go since the latest was taken.
  expect(holds.flatMap((hold) => hold.deref() ?? []).length).toBeLessThanOrEqual(3);
  for (const lock of held) lock.release();
});

hooked('who nests anew before each end of the last one may do so on and on', async () => {
  const resource = temporaryResource();
  let held = await take(resource);
  for (let count = 0; count < 15_000; count += 1) {
    const next = await take(resource);
    held.release();
    held = next;
  }
  expect(tryLock(resource)).toBeNull();
  held.release();
  using free = tryLock(resource);
  expect(free?.held).toBe(true);
});

hooked('what is no promise leaves the next scope alone', async () => {
  const resource = temporaryResource();
  expect(() => openScope(undefined as unknown as Promise<FileLock>)).toThrow(TypeError);
  using outer = await take(resource);
  using inner = await take(resource, 0);
  expect(inner.token).toBe(outer.token);
});
