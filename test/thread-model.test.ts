import { dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { heldLocks, releaseAll } from 'holdfast';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { linkedPathTo, temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { seeds } from './model/seeds.js';
import { type Board, Stage } from './model/stage.js';
import { releaseEverything, threadActs } from './model/thread-acts.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(async () => {
  vi.useRealTimers();
  // Of a game that failed.
  while (releaseAll() > 0) await nextTurn();
});

async function play(board: Board, seed: number): Promise<void> {
  const stage = new Stage(board, seed);
  const acts = threadActs.flatMap(([often, act]) => Array<typeof act>(often).fill(act));
  for (let step = 0; step < 120; step += 1) {
    await stage.pick(acts)?.(stage);
    // Several in one turn of the event loop, now and then.
    if (stage.random(3) > 0) await stage.settle();
  }
  await releaseEverything(stage);
  expect(heldLocks()).toEqual([]);
}

test.each(seeds(15))(
  'what one thread does with locks goes as in the model (seed %i)',
  async (seed) => {
    const folder = temporaryFolder();
    await play({ folder, link: undefined, replaces: false, opensScopes: false }, seed);
  },
);
const needed = needs(
  'symbolic links',
  'open files that lose their name when they are deleted',
  'open files that can be replaced',
  'async hooks of promises',
);
needed.each(seeds(15))(
  'so it does by several paths and with deleted lock files (seed %i)',
  async (seed) => {
    const folder = temporaryFolder();
    const link = dirname(linkedPathTo(join(folder, 'a')));
    await play({ folder, link, replaces: true, opensScopes: true }, seed);
  },
);
