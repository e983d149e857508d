import { lock } from 'holdfast';
import { afterAll, expect } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { slowness } from './helpers/slowness.js';
import { Crowd } from './model/crowd.js';
import { disorder, queue, written } from './model/games.js';
import { seeds } from './model/seeds.js';
import { keptWaiting, outOfOrder, type Request, unanswered, wrongHolders } from './model/trace.js';

let gathered: Promise<Crowd> | undefined;

/** The same processes for all games, from the first that can be played here on. */
function gather(): Promise<Crowd> {
  gathered ??= Crowd.gather(5);
  return gathered;
}

afterAll(async () => (await gathered)?.disperse());

const limit = BigInt(Math.round(2e9 * slowness));

function expectNone(problems: string[], crowd: Crowd): void {
  if (problems.length > 0) expect.fail(`${problems.join('\n')}\n${written(crowd)}`);
}

function expectRight(requests: readonly Request[], crowd: Crowd): void {
  const problems = [
    ...wrongHolders(requests),
    ...unanswered(requests, crowd.killed),
    ...keptWaiting(requests, limit),
  ];
  expectNone(problems, crowd);
}

const between = needs('/proc', 'POSIX signals', 'a clock that processes share', 'Python', 'Linux');

between.each(seeds(2))(
  'processes in disorder exclude each other, and all come to an end (seed %i)',
  async (seed) => {
    const folder = temporaryFolder();
    const crowd = await gather();
    expectRight(await disorder(crowd, folder, seed), crowd);
    // What was given up in the end may still be on its way out.
    for (const name of ['a', 'b']) (await lock(`${folder}/${name}`)).release();
  },
);

between.each(seeds(4))(
  'whoever has queued is not passed by another process (seed %i)',
  async (seed) => {
    const crowd = await gather();
    const { requests, order } = await queue(crowd, temporaryFolder(), seed);
    expectRight(requests, crowd);
    expectNone(outOfOrder(requests, order), crowd);
  },
);

between('in the end there is no lock, no descriptor and no thread left in them', async () => {
  const crowd = await gather();
  for (const left of await crowd.leftovers())
    expect(left).toEqual({ held: 0, files: [], threads: 0 });
});
