import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { untilBlocked } from '../helpers/blocked.js';
import { start } from '../helpers/program.js';
import { randomFrom } from '../helpers/random.js';
import { patience } from '../helpers/slowness.js';
import type { Crowd } from './crowd.js';
import type { Mode } from './lock-model.js';
import { type Request, readTrace } from './trace.js';

type Random = (below: number) => number;

const anyMode = (random: Random): Mode => (random(3) === 0 ? 'shared' : 'exclusive');

// A program that knows nothing of queues.
const contender = `
import fcntl, json, sys, time
log, path, name = sys.argv[1:]
f = open(path + '.flock', 'a')
def write(name, **more):
    with open(log, 'a') as out: out.write(json.dumps(dict(more, name=name, pid=0, at=str(time.monotonic_ns()))) + '\\n')
for turn in range(15):
    mine = f'{name}.{turn}'
    write(mine, event='asks', path=path, mode='exclusive')
    fcntl.flock(f, fcntl.LOCK_EX)
    write(mine, event='granted')
    time.sleep(0.001)
    write(mine, event='releases')
    fcntl.flock(f, fcntl.LOCK_UN)
    time.sleep(0.005)
`;

/** Waits until this is so of what was written down. */
async function until(crowd: Crowd, holds: (requests: Request[]) => boolean): Promise<Request[]> {
  for (const end = performance.now() + patience; ; await sleep(3)) {
    const requests = readTrace(crowd.log, crowd.killed);
    if (holds(requests) || performance.now() > end) return requests;
  }
}

const isOver = ({ pid, released, refused }: Request, { killed }: Crowd) =>
  released !== undefined || refused !== undefined || killed.has(pid);

/** Anybody asks for anything, gives up, is killed or stopped, beside another program. */
export async function disorder(crowd: Crowd, folder: string, seed: number): Promise<Request[]> {
  const random = randomFrom(seed);
  crowd.log = `${folder}/log`;
  const paths = [`${folder}/a`, `${folder}/b`];
  for (const path of paths) writeFileSync(`${path}.flock`, '');
  writeFileSync(crowd.log, '');
  const place = () => random(crowd.size);
  const asked: { place: number; name: string; thread: boolean; lost: boolean }[] = [];
  const other = start('python3', ['-c', contender, crowd.log, paths[0] as string, 'other']);
  const ask = () => {
    const name = `${asked.length}`;
    const who = { place: place(), name, thread: random(3) === 0, lost: false };
    asked.push(who);
    crowd.tell(who.place, {
      act: 'ask',
      ...who,
      path: paths[random(paths.length)] as string,
      how: random(6) === 0 ? 'tryLock' : 'lock',
      mode: anyMode(random),
      timeout: [null, null, null, 0, 5 + random(100)][random(5)] as number | null,
      ms: random(4),
    });
  };
  const abort = () => {
    const one = asked[asked.length - 1 - random(12)];
    if (one !== undefined) crowd.tell(one.place, { act: 'abort', ...one });
  };
  const kill = () => {
    const one = place();
    // It may not have read the latest orders.
    for (const who of asked) who.lost ||= who.place === one;
    return crowd.replace(one);
  };
  const stop = async () => {
    const one = place();
    crowd.signal(one, 'SIGSTOP');
    await sleep(random(30));
    crowd.signal(one, 'SIGCONT');
  };
  const acts: [number, () => unknown][] = [
    [60, ask],
    [12, abort],
    [2, kill],
    [2, stop],
    [10, () => sleep(random(6))],
  ];
  const all = acts.flatMap(([often, act]) => Array<typeof act>(often).fill(act));
  for (let step = 0; step < 120; step += 1) await all[random(all.length)]?.();
  await other.ended;
  return until(crowd, (requests) => {
    const over = new Set(requests.filter((one) => isOver(one, crowd)).map(({ name }) => name));
    return asked.every(({ name, lost }) => lost || over.has(name));
  });
}

/** What came of a queue, and the order in which those stood in it who may not be passed. */
export interface Queued {
  readonly requests: Request[];
  readonly order: string[];
}

/**
 * Threads of several processes queue one after the other, each when the kernel shows that the one before
 * has. Then some give up, one is killed perhaps, and the holder releases. Nobody comes meanwhile, because one
 * that comes while the kernel wakes another up may be first.
 */
export async function queue(crowd: Crowd, folder: string, seed: number): Promise<Queued> {
  const random = randomFrom(seed);
  crowd.log = `${folder}/log`;
  const path = `${folder}/queue`;
  writeFileSync(crowd.log, '');
  crowd.tell(0, { act: 'ask', name: 'first', path, mode: 'exclusive', timeout: null, ms: null });
  await until(crowd, (requests) => requests.some(({ granted }) => granted !== undefined));
  const threads = Array.from({ length: 2 * (crowd.size - 1) }, (_, index) => ({
    place: 1 + (index >> 1),
    thread: index % 2 === 1,
    name: `process ${1 + (index >> 1)}${index % 2 === 1 ? ' (worker)' : ''}`,
  }));
  let waiting: typeof threads = [];
  while (threads.length > 0) {
    const [one] = threads.splice(random(threads.length), 1);
    if (one === undefined || random(4) === 0) continue;
    const mode = anyMode(random);
    crowd.tell(one.place, { act: 'ask', ...one, path, mode, timeout: null, ms: random(3) });
    waiting.push(one);
    await untilBlocked(`${path}.flock`, waiting.length);
  }
  for (let count = random(4); count > 0; count -= 1) {
    const one = waiting[random(waiting.length)];
    if (one !== undefined) crowd.tell(one.place, { act: 'abort', ...one });
  }
  const alone = waiting.filter(
    ({ place }) => waiting.filter((one) => one.place === place).length === 1,
  );
  const victim = random(3) === 0 ? alone[random(alone.length)] : undefined;
  if (victim !== undefined) {
    await crowd.replace(victim.place);
    waiting = waiting.filter((one) => one !== victim);
  }
  crowd.tell(0, { act: 'release', name: 'first' });
  const requests = await until(crowd, (requests) => requests.every((one) => isOver(one, crowd)));
  return { requests, order: waiting.map(({ name }) => name) };
}

/** What was written down, for whoever has to find out. */
export const written = ({ log }: Crowd) => readFileSync(log, 'utf8');
