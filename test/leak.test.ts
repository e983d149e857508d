import { lock, reclaimLeaked, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor, type Stage } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';

type Leak = (stage: Stage, resource: string) => void;

// Every way in which a chain of promises usually gets lost. None may refer to the test around it:
// they run in an actor.
const leaks: Record<string, Leak> = {
  'a promise that never settles': ({ holdfast }, resource) => {
    void holdfast.withLock(resource, () => new Promise(() => {}));
  },
  'an emitter that nobody refers to': ({ holdfast }, resource) => {
    void holdfast.withLock(resource, async () => {
      const emitter = new (process.getBuiltinModule('node:events').EventEmitter)();
      await new Promise((resolve) => emitter.once('never', resolve));
    });
  },
  'a stream that was dropped': ({ holdfast }, resource) => {
    void holdfast.withLock(resource, async () => {
      const { PassThrough } = process.getBuiltinModule('node:stream');
      for await (const _ of new PassThrough()) await null;
    });
  },
  'an async iterator that was abandoned': ({ holdfast }, resource) => {
    async function* turns() {
      const held = await holdfast.lock(resource);
      try {
        yield 1;
      } finally {
        held.release();
      }
    }
    void turns().next();
  },
  'a generator that was abandoned': ({ holdfast }, resource) => {
    function* turns() {
      const held = holdfast.tryLock(resource);
      try {
        yield 1;
      } finally {
        held?.release();
      }
    }
    turns().next();
  },
  'a lock that nobody kept': ({ holdfast }, resource) => {
    void holdfast.lock(resource);
  },
  'a scope whose context a timer captured': ({ holdfast, kept }, resource) => {
    void holdfast.withLock(resource, () => {
      kept.interval = setInterval(() => {}, 60_000);
      return new Promise(() => {});
    });
  },
  'a scope with a lease and a signal that was listened to': ({ holdfast, kept }, resource) => {
    const scope = holdfast.withLock(resource, { lease: 600_000 }, (held) => {
      held.signal.addEventListener('abort', () => {});
      return new Promise(() => {});
    });
    // The one who waits for the scope is told, before the lease ends, that it was leaked.
    scope.catch(({ code }) => {
      kept.code = code;
    });
  },
};

test.each(Object.keys(leaks))('%s frees its lock after a collection', async (name) => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await actor.run(leaks[name] as Leak, resource);
  await actor.run(({ holdfast, emit }, path) => {
    process.on('warning', ({ name, code, message }: Error & { code?: string }) =>
      emit('warning', { name, code, message }),
    );
    // Somebody of the same process waits, and somebody of this one.
    void holdfast.lock(path).then((held) => {
      held.release();
      emit('granted');
    });
  }, resource);
  const warning = actor.next('warning');
  const granted = actor.next('granted');
  const waiting = lock(resource);
  await expect(actor.run(({ holdfast }) => holdfast.reclaimLeaked())).resolves.toBe(1);
  await expect(warning).resolves.toMatchObject({
    name: 'LockLeakWarning',
    code: 'HOLDFAST_LEAK',
    message: expect.stringContaining(resource),
  });
  (await waiting).release();
  await granted;
});

test('a scope that leaked is told, also when somebody who nested in it began the lease', async () => {
  const actor = await Actor.start();
  const outcome = await actor.run(async ({ holdfast }, resource) => {
    const scope = holdfast.withLock(resource, async () => {
      await holdfast.withLock(resource, { reentrant: true }, (inner) => inner.renew(600_000));
      return new Promise(() => {});
    });
    const told = scope.catch(({ code }) => code);
    await new Promise(setImmediate);
    return [await holdfast.reclaimLeaked(), await told];
  }, temporaryResource());
  expect(outcome).toEqual([1, 'ERR_LOCK_EXPIRED']);
});

test('scopes that leaked one in the other are both told, before their lease ends', async () => {
  const actor = await Actor.start();
  const outcome = await actor.run(async ({ holdfast }, resource) => {
    const codeOf = ({ code }: NodeJS.ErrnoException) => code;
    const told: Promise<unknown>[] = [];
    const outer = holdfast.withLock(resource, { lease: 600_000 }, () => {
      const inner = holdfast.withLock(resource, { reentrant: true }, () => new Promise(() => {}));
      told.push(inner.catch(codeOf));
      return new Promise(() => {});
    });
    told.push(outer.catch(codeOf));
    await new Promise(setImmediate);
    // One lock, of which both are holders.
    return [await holdfast.reclaimLeaked(), ...(await Promise.all(told))];
  }, temporaryResource());
  expect(outcome).toEqual([1, 'ERR_LOCK_EXPIRED', 'ERR_LOCK_EXPIRED']);
});

test.each([false, true])(
  'who lives on with nothing but the signal of a leaked lock is told, nested: %s',
  async (nested) => {
    const actor = await Actor.start({ quiet: true });
    const code = await actor.run(
      async ({ holdfast, kept }, resource, nested) => {
        const take = async () => {
          kept['signal'] = (await holdfast.lock(resource, { reentrant: true })).signal;
        };
        await (nested
          ? holdfast.withLock(resource, async (outer) => {
              await take();
              await holdfast.reclaimLeaked();
              outer.assertHeld();
            })
          : take());
        await holdfast.reclaimLeaked();
        return kept['signal'].reason?.code;
      },
      temporaryResource(),
      nested,
    );
    expect(code).toBe('ERR_LOCK_LOST');
  },
);

test('a lock that is in use survives a collection', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await actor.run(async ({ holdfast, kept }, path) => {
    const entered = new Promise<void>((resolve) => {
      kept.scope = holdfast.withLock(path, async () => {
        resolve();
        await new Promise((done) => {
          kept.finish = done;
        });
      });
    });
    await entered;
  }, resource);
  await expect(actor.run(({ holdfast }) => holdfast.reclaimLeaked())).resolves.toBe(0);
  await expect(lock(resource, { timeout: 0 })).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
  await actor.run(async ({ kept }) => {
    kept.finish();
    await kept.scope;
  });
  (await lock(resource, { timeout: 0 })).release();
});

test('a leak is reported once, with its age, and with who took the lock where captureStack is set', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  await actor.run(({ holdfast, emit }, path) => {
    process.on('warning', ({ message, detail }: Error & { detail?: string }) =>
      emit('warning', { message, detail }),
    );
    function takeAndForget() {
      holdfast.tryLock(path, { captureStack: true, label: 'forgotten \u001b[31m' });
    }
    takeAndForget();
  }, resource);
  const warnings: unknown[] = [];
  actor.events.on('warning', (warning) => warnings.push(warning));
  const first = actor.run(({ holdfast }) => holdfast.reclaimLeaked());
  await expect(first).resolves.toBe(1);
  const second = actor.run(({ holdfast }) => holdfast.reclaimLeaked());
  await expect(second).resolves.toBe(0);
  expect(warnings).toEqual([
    {
      message: expect.stringMatching(
        /the lock on .*[\\/]resource \("forgotten \ufffd\[31m"\) was leaked.* freed after \d+\.\d s\. Either its scope awaited what never comes, or it was taken without withLock\(\)/,
      ),
      detail: expect.stringContaining('takeAndForget'),
    },
  ]);
});

test('with captureStack the stack begins where the lock was asked for, also when it was waited for', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  const details = await actor.run(async ({ holdfast }, path) => {
    const found: (string | undefined)[] = [];
    process.on('warning', ({ detail }: Error & { detail?: string }) => found.push(detail));
    const first = holdfast.tryLock(path);
    async function askAndForget() {
      await holdfast.lock(path, { captureStack: true });
    }
    const asked = askAndForget();
    first?.release();
    await asked;
    await holdfast.reclaimLeaked();
    await new Promise(setImmediate);
    return found;
  }, resource);
  expect(details).toEqual([expect.stringMatching(/^Error: taken here\n +at askAndForget /)]);
});

test('reclaimLeaked() calls that come together share one collection', async () => {
  const [first, second] = [reclaimLeaked(), reclaimLeaked()];
  expect(first).toBe(second);
  await expect(first).resolves.toBe(0);
});

test('reclaimLeaked() that comes too early waits for its turn, and frees what was leaked since', async () => {
  const resource = temporaryResource();
  await reclaimLeaked();
  tryLock(resource);
  await expect(reclaimLeaked()).resolves.toBe(1);
  expect(tryLock(resource)?.held).toBe(true);
});

test('locks that come after leaked ones have nothing to do with those', async () => {
  const actor = await Actor.start();
  const counts = await actor.run(async ({ holdfast, kept }, folder) => {
    const paths = Array.from({ length: 200 }, (_, number) => `${folder}${number}`);
    const lockAll = () => paths.map((path) => holdfast.tryLock(path));
    const leak = () => void lockAll();
    const seen = [];
    for (let round = 0; round < 2; round += 1) {
      leak();
      // Whatever the collector leaves for the next time is not what this is about.
      while (holdfast.heldLocks().length > 0) await holdfast.reclaimLeaked();
      kept['locks'] = lockAll();
      seen.push(await holdfast.reclaimLeaked(), holdfast.heldLocks().length);
      for (const lock of kept['locks']) lock.release();
      seen.push(holdfast.heldLocks().length);
    }
    return seen;
  }, temporaryResource());
  expect(counts).toEqual([0, 200, 0, 0, 200, 0]);
});
