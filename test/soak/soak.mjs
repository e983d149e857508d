// Four processes do everything wrong that can be done, for a while: npm run soak [-- SECONDS]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const entry = new URL('../../dist/index.js', import.meta.url).href;
const program = fileURLToPath(new URL('./player.mjs', import.meta.url));
const players = 4;

/** What the logs say, by resource and token. */
function readHolds(folder) {
  const holds = new Map();
  for (const name of readdirSync(folder).filter((file) => file.startsWith('log-'))) {
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean)) {
      const { event, at, resource, token, mode } = JSON.parse(line);
      if (mode !== 'exclusive') continue;
      const key = `${resource} ${token}`;
      const hold = holds.get(key) ?? {
        resource,
        token: BigInt(token),
        entered: [],
        left: null,
      };
      if (event === 'enter') hold.entered.push(BigInt(at));
      else hold.left = BigInt(at);
      holds.set(key, hold);
    }
  }
  return [...holds.values()];
}

/**
 * No two exclusive holders of one resource at a time, and never with the same token. Holders that
 * were killed, leaked or lost their lease left no time; the next token must still be later than
 * their own entry.
 */
export function findOverlaps(holds) {
  const problems = holds
    .filter(({ entered }) => entered.length !== 1)
    .map(({ resource, token }) => `two holders of ${resource} had token ${token}`);
  const byResource = Map.groupBy
    ? Map.groupBy(holds, ({ resource }) => resource)
    : new Map(
        holds.map(({ resource }) => [resource, holds.filter((hold) => hold.resource === resource)]),
      );
  for (const group of byResource.values()) {
    group.sort((a, b) => (a.token < b.token ? -1 : 1));
    for (let index = 1; index < group.length; index += 1) {
      const [earlier, later] = [group[index - 1], group[index]];
      if (later.entered[0] <= (earlier.left ?? earlier.entered[0])) {
        problems.push(
          `token ${later.token} of ${later.resource} entered before ${earlier.token} had left`,
        );
      }
    }
  }
  return problems;
}

function start(folder, seed) {
  const child = fork(program, [folder, String(seed)], {
    env: { ...process.env, HOLDFAST_ENTRY: entry },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return { child, exited: once(child, 'exit'), report: null };
}

/** Plays for that many seconds and says what went wrong. */
export async function soak({ seconds, seed }) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-soak-'));
  let lastSeed = seed;
  let kills = 0;
  const crowd = [];
  const begin = async (place) => {
    lastSeed += 1;
    const player = start(folder, lastSeed);
    crowd[place] = player;
    player.child.on('message', (message) => {
      if (message !== 'started') player.report = message;
    });
    await Promise.race([once(player.child, 'message'), player.exited]);
  };
  try {
    await Promise.all(Array.from({ length: players }, (_, place) => begin(place)));
    const end = performance.now() + seconds * 1_000;
    // The first player is never killed: it has to account for what it kept.
    for (let place = 1; performance.now() < end; place = (place % (players - 1)) + 1) {
      await new Promise((resolve) => setTimeout(resolve, 200 + ((lastSeed * 7919) % 800)));
      crowd[place].child.kill('SIGKILL');
      await crowd[place].exited;
      kills += 1;
      await begin(place);
    }
    for (const { child } of crowd) if (child.connected) child.send('stop');
    await Promise.all(crowd.map(({ exited }) => exited));
    const holds = readHolds(folder);
    return {
      holds: holds.length,
      kills,
      problems: findOverlaps(holds),
      reports: crowd.map(({ report }) => report),
    };
  } finally {
    for (const { child } of crowd) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await soak({ seconds: Number(process.argv[2] ?? 60), seed: Date.now() % 100_000 });
  console.log(JSON.stringify(result, null, 2));
  process.exitCode = result.problems.length > 0 ? 1 : 0;
}
