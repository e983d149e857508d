import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';
import { overlapping, parseIntervals } from './helpers/intervals.js';
import { needs } from './helpers/needs.js';
import { rounds } from './helpers/slowness.js';

const processes = 8;

type How = 'lock' | 'lockSync' | 'withLock';

/** Adds to the number in the file, many times, and notes when it held the lock. */
function addUp(actor: Actor, resource: string, who: number, how: How, times: number) {
  return actor.run(
    async ({ holdfast }, resource, who, how, times) => {
      const fs = process.getBuiltinModule('node:fs');
      const lines: string[] = [];
      const addOne = () => {
        const from = process.hrtime.bigint();
        // In place: ext4 writes a truncated file to the disk when it is closed.
        const fd = fs.openSync(resource, 'r+');
        const before = Number(fs.readFileSync(fd, 'utf8'));
        fs.writeSync(fd, String(before + 1), 0);
        fs.closeSync(fd);
        lines.push(`${who} ${from} ${process.hrtime.bigint()}\n`);
      };
      for (let round = 0; round < times; round += 1) {
        if (how === 'withLock') {
          await holdfast.withLock(resource, addOne);
          continue;
        }
        const lock = how === 'lock' ? await holdfast.lock(resource) : holdfast.lockSync(resource);
        addOne();
        lock.release();
      }
      fs.appendFileSync(`${resource}.log`, lines.join(''));
    },
    resource,
    who,
    how,
    times,
  );
}

needs('a clock that processes share').each([
  ['withLock', rounds(500)],
  ['lock', rounds(150)],
  ['lockSync', rounds(150)],
] as const)(
  'eight processes that each add many times under %s lose nothing and never overlap',
  async (how, times) => {
    const resource = temporaryResource();
    writeFileSync(resource, '0');
    const actors = await Promise.all(Array.from({ length: processes }, () => Actor.start()));
    await Promise.all(actors.map((actor, who) => addUp(actor, resource, who, how, times)));
    expect(readFileSync(resource, 'utf8')).toBe(String(processes * times));
    const intervals = parseIntervals(readFileSync(`${resource}.log`, 'utf8'));
    expect(intervals).toHaveLength(processes * times);
    expect(overlapping(intervals)).toEqual([]);
  },
);

test('twenty tasks of one process that read, wait and write lose nothing', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start();
  const total = await actor.run(async ({ holdfast }, resource) => {
    let number = 0;
    const addOne = async () => {
      const before = number;
      await new Promise(setImmediate);
      number = before + 1;
    };
    await Promise.all(Array.from({ length: 20 }, () => holdfast.withLock(resource, addOne)));
    return number;
  }, resource);
  expect(total).toBe(20);
});

describe('overlapping', () => {
  const interval = (who: string, from: number, to: number) => ({
    who,
    from: BigInt(from),
    to: BigInt(to),
  });

  test('finds what overlaps, also behind a long interval, and nothing else', () => {
    const long = interval('long', 0, 100);
    const inside = interval('inside', 10, 20);
    const later = interval('later', 50, 60);
    const after = interval('after', 100, 110);
    expect(overlapping([after, later, inside, long])).toEqual([
      [long, inside],
      [long, later],
    ]);
    expect(overlapping([after, long])).toEqual([]);
  });
});
