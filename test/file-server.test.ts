import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { inspect, lock, tryLock } from 'holdfast';
import { expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { patience } from './helpers/slowness.js';

const served = needs('a second client of a file server');

/** The same path, as the second client has it. */
const elsewhere = (path: string) =>
  join(process.env['HOLDFAST_TEST_SECOND_CLIENT'] ?? '', relative(tmpdir(), path));

served('a lock excludes the other client, which is told who holds it', async () => {
  const resource = temporaryResource();
  using held = tryLock(resource, { label: 'the first client' });
  const path = elsewhere(resource);
  expect(tryLock(path)).toBeNull();
  expect(await inspect(path)).toMatchObject({
    state: 'exclusive',
    holder: { pid: process.pid, label: 'the first client', token: held?.token },
  });
  await expect(lock(path, { timeout: 100 })).rejects.toThrow('("the first client")');
});

served('the tokens of both clients are one series', async () => {
  const resource = temporaryResource();
  const tokens: unknown[] = [];
  for (const path of [resource, elsewhere(resource), resource, elsewhere(resource)]) {
    await using held = await lock(path);
    expect(held.previousHolder).toBeNull();
    tokens.push(held.token);
  }
  expect(tokens).toEqual([1n, 2n, 3n, 4n]);
});

served('readers of both clients share', async () => {
  const resource = temporaryResource();
  using first = tryLock(resource, { mode: 'shared' });
  using second = tryLock(elsewhere(resource), { mode: 'shared' });
  expect([first?.held, second?.held]).toEqual([true, true]);
  expect(tryLock(resource)).toBeNull();
});

served(
  'a wait ends with the release, and with the death, of a holder at the other client',
  async () => {
    const resource = temporaryResource();
    const actor = await Actor.start();
    const take = () =>
      actor.run(async ({ holdfast, kept }, path) => {
        kept['lock'] = await holdfast.lock(path);
        return kept['lock'].held;
      }, elsewhere(resource));
    await take();
    const released = lock(resource, { timeout: patience });
    await actor.run(({ kept }) => kept['lock'].release());
    (await released).release();
    await take();
    const freed = lock(resource, { timeout: patience });
    await actor.kill();
    using held = await freed;
    expect(held.previousHolder?.pid).toBe(actor.pid);
  },
);

served('no update of either client is lost', async () => {
  const resource = temporaryResource();
  const actors = await Promise.all([Actor.start(), Actor.start()]);
  const paths = [resource, elsewhere(resource)];
  const updates = actors.map((actor, index) =>
    actor.run(async ({ holdfast }, path) => {
      const { readFileSync, writeFileSync } = process.getBuiltinModule('node:fs');
      for (let round = 0; round < 10; round += 1) {
        await holdfast.withLock(path, async () => {
          const before = Number(readFileSync(path, { encoding: 'utf8', flag: 'a+' }));
          writeFileSync(path, String(before + 1));
        });
      }
    }, paths[index] as string),
  );
  await Promise.all(updates);
  expect(readFileSync(resource, 'utf8')).toBe('20');
});
