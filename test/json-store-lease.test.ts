import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { flock, tryLock, withLock } from 'holdfast';
import { jsonlStore, jsonStore } from 'holdfast/json-store';
import { expect, test } from 'vitest';
import { faults } from './helpers/faults.js';
import { lost } from './helpers/lost.js';
import { needs } from './helpers/needs.js';
import { before } from './helpers/refusals.js';
import { slowness } from './helpers/slowness.js';
import { temporaryStore } from './helpers/store.js';
import { ended, startWriter } from './helpers/store-writer.js';

interface Counter {
  count: number;
}

const increment = ({ count }: Counter) => ({ count: count + 1 });

test('a holder that lost its lease while fn ran does not publish', async () => {
  const file = temporaryStore('{"count":1}');
  const store = jsonStore<Counter>(file, { lease: 50 });
  const late = store.update(async (_, held) => {
    await lost(held.signal);
    return { count: 100 };
  });
  await expect(late).rejects.toMatchObject({ code: 'ERR_LOCK_EXPIRED' });
  await jsonStore<Counter>(file).update(increment);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ count: 2 });
  expect(readdirSync(dirname(file)).sort()).toEqual(['state.json', 'state.json.flock']);
});

test('fn may renew the lease as long as it works', async () => {
  const file = temporaryStore('{"count":1}');
  const lease = 600 * slowness;
  const value = await jsonStore<Counter>(file, { lease }).update(async (current, held) => {
    for (let i = 0; i < 8; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, lease / 6));
      held.renew();
    }
    return increment(current);
  });
  expect(value).toEqual({ count: 2 });
});

needs('faults by LD_PRELOAD')('no lease ends between the check and a slow rename', async () => {
  const file = temporaryStore('{"count":1}');
  expect(await ended(startWriter('lastMoment', file, '', 0, faults))).toBe(0);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ count: 2 });
  using next = tryLock(file);
  expect(next?.previousHolder).toBeNull();
});

needs('faults by LD_PRELOAD')(
  'a rename that takes longer than its lease costs no update',
  async () => {
    const file = temporaryStore('{"count":1}');
    const store = jsonStore<Counter>(file);
    // Not the first one of this store, which removes what is left in any case.
    await store.write({ count: 1 });
    const writer = startWriter('lateRename', file, '', 0, faults);
    const told = once(writer, 'message');
    while (!readdirSync(dirname(file)).some((name) => name.endsWith('.tmp'))) await nextTurn();
    await store.update(({ count }) => ({ count: count + 10 }));
    const [{ promised }] = await told;
    expect(promised).toBe('ERR_LOCK_EXPIRED');
    // Where this process was slower, the rename was done before it read.
    expect([11, 12]).toContain((await store.read()).count);
  },
);

/** Blocks this thread, so that nothing here hears of the loss. */
function blockUntilLost(file: string): void {
  const fd = openSync(`${file}.flock`, 'r+');
  while (!flock(fd, 'exclusive'));
  closeSync(fd);
}

needs('built-in modules that can be patched')(
  'a writer whose lease ends while it gives up is told that, not what came of it',
  async () => {
    const file = temporaryStore('{"count":1}');
    before('unlink', /\.tmp$/, (temporary) => {
      blockUntilLost(file);
      // As whoever has the lock now does, before this writer comes to it.
      unlinkSync(temporary);
      // Fails here and now: with one call only, nothing fails where the loss is not looked for.
      unlinkSync(temporary);
    });
    const late = jsonStore<Counter>(file, { lease: 500 * slowness }).update((value) => {
      writeFileSync(file, '{"count":50}');
      return increment(value);
    });
    await expect(late).rejects.toMatchObject({ code: 'ERR_LOCK_EXPIRED' });
    expect(readdirSync(dirname(file)).sort()).toEqual(['state.json', 'state.json.flock']);
  },
);

test('an append that lost its lease before its moment writes nothing', async () => {
  const torn = '{"turn":1}\n{"tu';
  const file = temporaryStore(torn);
  const store = jsonlStore(file, { lease: 30, onTorn: () => blockUntilLost(file) });
  await expect(store.append({ turn: 3 })).rejects.toMatchObject({ code: 'ERR_LOCK_EXPIRED' });
  expect(readFileSync(file, 'utf8')).toBe(torn);
});

test('the late append of a holder that lost its lease is refused', async () => {
  const file = temporaryStore('{"turn":1}\n');
  const store = jsonlStore(file);
  const late = withLock(file, { lease: 50 }, async (held) => {
    await lost(held.signal);
    held.assertHeld();
    await store.append({ turn: 99 });
  });
  await expect(late).rejects.toMatchObject({ code: 'ERR_LOCK_EXPIRED' });
  await store.append({ turn: 2 });
  expect(readFileSync(file, 'utf8')).toBe('{"turn":1}\n{"turn":2}\n');
});
