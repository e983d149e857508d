// Reads what the players of the soak logged, and says who held a lock together with whom.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The holds, each from its start to the latest moment at which it certainly went on. Whoever was
 * killed held until then, whoever has a lease until its end, and whoever leaked not for certain.
 * `killed` has the times at which processes were killed.
 */
export function readLogs(folder, killed) {
  const holds = new Map();
  const failures = [];
  for (const name of readdirSync(folder).filter((file) => file.startsWith('log-'))) {
    const lines = readFileSync(join(folder, name), 'utf8').split('\n');
    // A process that was killed may not have finished its last line.
    for (const line of lines.slice(0, -1)) {
      const { event, id, at, ...rest } = JSON.parse(line);
      const hold = holds.get(id);
      if (event === 'failed') failures.push(rest.message);
      else if (event === 'enter')
        holds.set(id, { ...toHold(rest), from: BigInt(at), to: BigInt(at) });
      else if (hold !== undefined && BigInt(at) > hold.to) hold.to = BigInt(at);
    }
  }
  for (const hold of holds.values()) {
    const end = killed.get(hold.pid);
    if (end === undefined) continue;
    const keptTillThen = hold.fate === 'kept' && hold.to === hold.from;
    if (keptTillThen || hold.to > end) hold.to = end;
  }
  return { holds: [...holds.values()], failures };
}

function toHold({ resource, token, mode, fate, pid }) {
  return { resource, token: BigInt(token), mode, fate, pid };
}

function describe({ mode, token, from, to, fate, pid }) {
  return `${mode} ${token} (pid ${pid}, ${fate}) from ${from} to ${to}`;
}

/** Holders of one resource that were there together, and tokens that did not grow. */
export function findOverlaps(holds) {
  const problems = [];
  for (const resource of new Set(holds.map((hold) => hold.resource))) {
    const here = holds.filter((hold) => hold.resource === resource);
    const exclusive = here.filter(({ mode }) => mode === 'exclusive');
    exclusive.sort((a, b) => (a.token < b.token ? -1 : 1));
    for (const [index, later] of exclusive.slice(1).entries()) {
      const earlier = exclusive[index];
      if (earlier.token === later.token || later.from <= earlier.to) {
        problems.push(`${resource}: ${describe(earlier)}, but ${describe(later)}`);
      }
    }
    for (const shared of here.filter(({ mode }) => mode === 'shared')) {
      const intruder = exclusive.find(({ from, to }) => from < shared.to && shared.from < to);
      if (intruder) problems.push(`${resource}: ${describe(shared)}, but ${describe(intruder)}`);
    }
  }
  return problems;
}
