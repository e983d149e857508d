import { readFileSync } from 'node:fs';
import type { Mode } from './lock-model.js';

/** What the processes of a game wrote down of one request. */
export interface Request {
  readonly name: string;
  readonly pid: number;
  readonly path: string;
  readonly mode: Mode;
  readonly asked: bigint;
  waited?: bigint;
  granted?: bigint;
  /** The last moment at which it certainly held the lock. */
  released?: bigint;
  refused?: string;
  token?: bigint;
}

interface Line {
  pid: number;
  name: string;
  event: 'asks' | 'waits' | 'granted' | 'releases' | 'refused';
  at: string;
  path: string;
  mode: Mode;
  token?: string;
  code?: string;
}

/** All requests in a log; `killed` has the time at which each killed process had ended at the earliest. */
export function readTrace(log: string, killed: ReadonlyMap<number, bigint>): Request[] {
  const requests = new Map<string, Request>();
  // A process that was killed may not have finished its last line.
  for (const text of readFileSync(log, 'utf8').split('\n')) {
    if (!text.endsWith('}')) continue;
    const line: Line = JSON.parse(text);
    const { pid, name, path, mode } = line;
    const at = BigInt(line.at);
    const request = requests.get(name) ?? { name, pid, path, mode, asked: at };
    requests.set(name, request);
    if (line.event === 'waits') request.waited = at;
    else if (line.event === 'granted') {
      request.granted = at;
      if (line.token !== undefined) request.token = BigInt(line.token);
    } else if (line.event === 'releases') request.released = at;
    else if (line.event === 'refused') request.refused = line.code ?? '';
  }
  for (const request of requests.values()) {
    const end = killed.get(request.pid);
    if (end !== undefined && request.granted !== undefined) request.released ??= end;
  }
  return [...requests.values()];
}

/** Two that held one lock at once, of whom one wanted it for itself, and tokens that do not grow. */
export function wrongHolders(requests: readonly Request[]): string[] {
  const problems: string[] = [];
  const granted = requests.filter(({ granted }) => granted !== undefined);
  granted.sort((a, b) => ((a.granted ?? 0n) < (b.granted ?? 0n) ? -1 : 1));
  for (const [index, later] of granted.entries()) {
    for (const earlier of granted.slice(0, index)) {
      if (earlier.path !== later.path) continue;
      const alone = earlier.mode === 'exclusive' || later.mode === 'exclusive';
      if (alone && (earlier.released ?? later.granted ?? 0n) >= (later.granted ?? 0n))
        problems.push(`${earlier.name} and ${later.name} held ${later.path} at once`);
      const grows = later.mode === 'exclusive' ? -1n : 0n;
      if (
        earlier.token !== undefined &&
        later.token !== undefined &&
        earlier.token > later.token + grows
      )
        problems.push(
          `${later.name} got token ${later.token}, ${earlier.name} had ${earlier.token}`,
        );
    }
  }
  return problems;
}

/** Those that were neither granted nor refused, and those that had no reason to be refused. */
export function unanswered(
  requests: readonly Request[],
  killed: ReadonlyMap<number, bigint>,
): string[] {
  const known = ['held', 'ERR_LOCK_TIMEOUT', 'AbortError'];
  return requests.flatMap(({ name, pid, granted, released, refused }) => {
    if (refused !== undefined && !known.includes(refused)) return `${name} was refused: ${refused}`;
    const open = granted === undefined ? refused === undefined : released === undefined;
    return open && !killed.has(pid)
      ? `${name} was left ${granted ? 'with the lock' : 'waiting'}`
      : [];
  });
}

/** Those that waited although nobody had the lock, for longer than it takes to wake one of them up. */
export function keptWaiting(requests: readonly Request[], limit: bigint): string[] {
  const granted = requests.filter(({ granted }) => granted !== undefined);
  granted.sort((a, b) => ((a.granted ?? 0n) < (b.granted ?? 0n) ? -1 : 1));
  const problems: string[] = [];
  const free = new Map<string, bigint>();
  for (const next of granted) {
    const since = free.get(next.path);
    const at = next.granted ?? 0n;
    const begin = since !== undefined && since > next.asked ? since : next.asked;
    if (since !== undefined && at - begin > limit && at > since)
      problems.push(
        `${next.name} waited for ${(at - begin) / 1_000_000n} ms although ${next.path} was free`,
      );
    const end = next.released ?? at;
    if (since === undefined || end > since) free.set(next.path, end);
  }
  return problems;
}

/** Those that were granted later than others who had queued after them; `queued` has the order. */
export function outOfOrder(requests: readonly Request[], queued: readonly string[]): string[] {
  const byName = new Map(requests.map((request) => [request.name, request]));
  const granted = queued
    .flatMap((name) => byName.get(name) ?? [])
    .filter(({ granted }) => granted !== undefined);
  return granted.flatMap((later, index) =>
    granted.slice(0, index).flatMap((earlier) => {
      const together = earlier.mode === 'shared' && later.mode === 'shared';
      const passed = (later.granted ?? 0n) < (earlier.granted ?? 0n);
      return passed && !together ? `${later.name} passed ${earlier.name}` : [];
    }),
  );
}
