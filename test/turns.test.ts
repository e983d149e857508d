import { expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { atBest, slowness } from './helpers/slowness.js';

/** Takes the lock in a tight loop for that long and answers the tokens, which tell the order. */
function loop(actor: Actor, resource: string, milliseconds: number): Promise<number[]> {
  return actor.run(
    async ({ holdfast, emit }, resource, milliseconds) => {
      const tokens: number[] = [];
      for (const end = performance.now() + milliseconds; performance.now() < end; ) {
        const lock = await holdfast.lock(resource);
        if (tokens.push(Number(lock.token)) === 1) emit('in');
        lock.release();
      }
      return tokens;
    },
    resource,
    milliseconds,
  );
}

/** How often in a row each holder had the lock, before another process had it. */
function turnsOf(processes: number[][]): number[] {
  const holders: number[] = [];
  for (const [index, tokens] of processes.entries()) {
    for (const token of tokens) holders[token] = index;
  }
  const turns: number[] = [];
  let before: number | undefined;
  for (const holder of holders.filter((known) => known !== undefined)) {
    if (holder === before) turns[turns.length - 1] = (turns.at(-1) ?? 0) + 1;
    else turns.push(1);
    before = holder;
  }
  return turns;
}

// Without turns the first in the queue wins by chance at each release, and half of the holders get
// the lock once or twice before they wait again.
needs('Linux')(
  'processes that lock in a loop have turns that others do not cut short',
  async () => {
    const resource = temporaryResource();
    const actors = await Promise.all([1, 2, 3].map(() => Actor.start()));
    const turns = turnsOf(await Promise.all(actors.map((actor) => loop(actor, resource, 600))));
    // Those of the beginning are of code that has hardly run yet.
    const later = turns.slice(turns.length / 2).sort((a, b) => a - b);
    expect(later.length).toBeGreaterThan(10);
    expect(later[Math.floor(later.length / 2)]).toBeGreaterThan(32);
  },
);

/** The longest wait, in ms, beside a process that ends its loop and is busy with something else. */
async function longestBesideBusy(): Promise<number> {
  const resource = temporaryResource();
  const [busy, other] = await Promise.all([Actor.start(), Actor.start()]);
  const inLoop = other.next('in');
  const longest = other.run(async ({ holdfast, kept, emit }, resource) => {
    let longest = 0;
    while (kept['enough'] !== true) {
      for (let count = 0; count < 100; count += 1) {
        const asked = performance.now();
        const lock = await holdfast.lock(resource);
        longest = Math.max(longest, performance.now() - asked);
        lock.release();
      }
      emit('in');
      await new Promise(setImmediate);
    }
    return longest;
  }, resource);
  await inLoop;
  await busy.run(async ({ holdfast }, resource) => {
    const until = (end: number) => performance.now() < end;
    // Half of the time it stops in the middle of its own turn.
    for (let round = 0; round < 8; round += 1) {
      for (const end = performance.now() + 60; until(end); )
        (await holdfast.lock(resource)).release();
      for (const end = performance.now() + 400; until(end); );
    }
  }, resource);
  await other.run(({ kept }) => {
    kept['enough'] = true;
  });
  return longest;
}

needs('Linux')('whoever ends its loop and is busy with something else delays nobody', async () => {
  const limit = 300 * slowness;
  expect(await atBest(limit, longestBesideBusy)).toBeLessThan(limit);
});
