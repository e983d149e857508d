import { readFileSync, statSync } from 'node:fs';
import { inspect, type LockStatus, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { faultyActor, setFault } from './helpers/faulty-actor.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { slowness } from './helpers/slowness.js';

test('inspect writes nothing and changes no time of the file', async () => {
  const resource = temporaryResource();
  tryLock(resource, { label: 'before' })?.release();
  const lockPath = `${resource}.flock`;
  const before = [readFileSync(lockPath, 'utf8'), statSync(lockPath).mtimeMs];
  for (let i = 0; i < 10; i += 1) await inspect(resource);
  expect([readFileSync(lockPath, 'utf8'), statSync(lockPath).mtimeMs]).toEqual(before);
});

test('inspect leaves the holder its lock and the waiter its turn', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  const held = tryLock(resource);
  const waiting = actor.run(async ({ holdfast, kept }, resource) => {
    kept['lock'] = await holdfast.lock(resource);
  }, resource);
  await untilBlocked(`${resource}.flock`, 1);
  for (let i = 0; i < 200; i += 1) expect((await inspect(resource)).state).toBe('exclusive');
  expect(held?.held).toBe(true);
  held?.release();
  await waiting;
  expect(await inspect(resource)).toMatchObject({ holder: { pid: actor.pid } });
});

test('inspect never sees a crash where holders come and go', {
  timeout: 60_000 * slowness,
}, async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  const turns = actor.run(async ({ holdfast, kept }, resource) => {
    kept['go'] = true;
    let count = 0;
    for (; kept['go']; count += 1) {
      (await holdfast.lock(resource)).release();
      if (count % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return count;
  }, resource);
  const seen = new Set<LockStatus['state']>();
  for (let i = 0; i < 1_000; i += 1) {
    const { state, crashed } = await inspect(resource);
    seen.add(state);
    expect(crashed).toBe(false);
  }
  await actor.run(({ kept }) => {
    kept['go'] = false;
  });
  expect(await turns).toBeGreaterThan(100);
  expect(seen.has('shared')).toBe(false);
});

function stateSeenBy(actor: Actor, resource: string): Promise<LockStatus['state']> {
  return actor.run(
    async ({ holdfast }, resource) => (await holdfast.inspect(resource)).state,
    resource,
  );
}

needs('faults by LD_PRELOAD')('a holder who is never there twice is no sharer', async () => {
  const resource = temporaryResource();
  tryLock(resource)?.release();
  const actor = await faultyActor();
  // As many as one look takes.
  await setFault(actor, 'BUSY', 8);
  expect(await stateSeenBy(actor, resource)).toBe('free');
});

// A lock file that is deleted has its tokens begin anew.
needs('faults by LD_PRELOAD').each(['token', 'since'])(
  'holders who follow each other are no sharers and no crash, although their records differ in %s only',
  async (member) => {
    const resource = temporaryResource();
    tryLock(resource)?.release();
    const actor = await faultyActor();
    await setFault(actor, 'BUSY', Number.MAX_SAFE_INTEGER);
    const seen = await actor.run(
      async ({ holdfast }, resource, member) => {
        const { openSync, writeSync } = process.getBuiltinModule('node:fs');
        const { crc32 } = process.getBuiltinModule('node:zlib');
        const file = openSync(`${resource}.flock`, 'r+');
        let seen: { state: string; crashed: boolean } | undefined;
        const asked = holdfast.inspect(resource).then(({ state, crashed }) => {
          seen = { state, crashed };
        });
        // What they write into the file, a new one in each turn of the event loop.
        for (let count = 1; seen === undefined; count += 1) {
          const [token, since] = member === 'token' ? [count, 1] : [1, count];
          const members = `"pid":1,"start":1,"host":"x","boot":null,"pidns":null,"token":"${token}","since":${since},"lease":null,"label":null`;
          const crc = crc32(members).toString(16).padStart(8, '0');
          const record = `{"holdfast":1,"state":"held","crc":"${crc}",${members}}`.padEnd(511);
          // As bytes: Deno appends text although it is given a position.
          writeSync(file, Buffer.from(record), 0, record.length, 0);
          await new Promise(setImmediate);
        }
        await asked;
        return seen;
      },
      resource,
      member,
    );
    expect(seen).toEqual({ state: 'free', crashed: false });
  },
);
