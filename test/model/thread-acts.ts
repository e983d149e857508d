import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LockOptions, lockSync, releaseAll, tryLock } from 'holdfast';
import { vi } from 'vitest';
import { patience } from '../helpers/slowness.js';
import { aborted } from './compare.js';
import type { Stage } from './stage.js';
import { WorkerHolder } from './worker-holder.js';

const anHour = 3_600_000;

type How = 'wait' | 'open' | 'enter';

async function ask(stage: Stage, how: How): Promise<void> {
  const resource = stage.anyLock();
  // By another path than whoever is to have the lock next, it may be there first.
  if (stage.board.link !== undefined) await stage.settle();
  const mode = stage.anyMode();
  // Of one attempt the model would have to know what comes of it.
  const once = resource.unsure || resource.lagging ? undefined : 0;
  const timeout = stage.pick([undefined, undefined, once, 5 + stage.random(40)]);
  const lease = stage.random(5) === 0 ? anHour : undefined;
  const path = stage.pathOf(resource);
  const party = stage.party(resource, mode, timeout, lease !== undefined);
  const asked = stage.ask(party);
  const { controller } = asked;
  if (stage.random(12) === 0) controller.abort(new Error('before'));
  const { signal } = controller;
  stage.note(
    `${party.name}: ${how} ${path} ${JSON.stringify({ mode, timeout, lease, signal: signal.aborted })}`,
  );
  if (signal.aborted) resource.leave(party, aborted);
  else if (timeout !== 0 || resource.isOpenTo(mode)) resource.wait(party);
  else resource.leave(party, 'ERR_LOCK_TIMEOUT');
  void asked[how](path, { mode, timeout, lease, signal });
}

async function askOnce(stage: Stage): Promise<void> {
  await stage.settle();
  const resource = stage.anyLock();
  const mode = stage.anyMode();
  const path = stage.pathOf(resource);
  const party = stage.party(resource, mode);
  let lock = tryLock(path, { mode });
  const open = !resource.unsure && resource.isOpenTo(mode);
  for (const end = performance.now() + patience; open && resource.lagging && lock === null; ) {
    if (performance.now() > end) break;
    await sleep(1);
    lock = tryLock(path, { mode });
  }
  stage.note(`${party.name}: try ${path} ${mode}: ${lock !== null}`);
  if (!resource.unsure && (lock !== null) !== open) stage.fail('tryLock() is wrong');
  if (lock !== null) stage.took(party, lock);
}

async function askSync(stage: Stage): Promise<void> {
  await stage.settle();
  const resource = stage.anyLock();
  if (resource.unsure) return;
  const mode = stage.anyMode();
  const path = stage.pathOf(resource);
  const party = stage.party(resource, mode);
  const own = [...stage.holds()].some((hold) => resource.holds.has(hold) && !hold.leased);
  // What would never end is seen at once, on a busy machine a little later.
  const timeout = stage.pick([0, own ? 60_000 : 1 + stage.random(15)]) ?? 0;
  stage.note(`${party.name}: sync ${path} ${mode} ${timeout}`);
  // The tasks of the thread could do nothing with a lock while it is blocked, so it passes them.
  if (resource.allows(mode)) {
    stage.took(party, lockSync(path, { mode }));
    return;
  }
  resource.lagging ||= timeout > 0;
  resource.leave(party, own && timeout > 0 ? 'EDEADLK' : 'ERR_LOCK_TIMEOUT');
  const asked = stage.ask(party);
  try {
    asked.lock = lockSync(path, { mode, timeout });
  } catch (error) {
    asked.error = error;
  }
}

function nest(stage: Stage): void {
  const scopes = stage.asked.filter(({ party, inside }) => inside && party.state === 'holding');
  const outer = stage.pick(scopes);
  const hold = outer?.party.hold;
  if (outer === undefined || hold === undefined || outer.party.resource.unsure) return;
  const { resource } = outer.party;
  const mode = stage.anyMode();
  const path = stage.pathOf(resource);
  const party = stage.party(resource, mode, stage.pick([undefined, 5 + stage.random(40)]));
  const reentrant = stage.random(3) > 0;
  stage.note(
    `${party.name}: nest in ${outer.party.name} ${path} ${JSON.stringify({ mode, reentrant })}`,
  );
  const nests = hold.mode === 'exclusive' ? reentrant : mode === 'shared';
  if (resource.isOpenTo(mode)) resource.wait(party);
  else if (nests) resource.nest(party, hold);
  else resource.leave(party, 'EDEADLK');
  const asked = stage.ask(party);
  const timeout = Number.isFinite(party.deadline) ? party.deadline - stage.now : undefined;
  const options: LockOptions = { mode, reentrant, timeout, signal: asked.controller.signal };
  outer.inside?.(() => asked.wait(path, options));
}

async function release(stage: Stage): Promise<void> {
  const asked = stage.pick(stage.holders());
  if (asked === undefined) return;
  const { party, lock, finish } = asked;
  const ends = finish !== undefined && stage.random(4) > 0;
  stage.note(`${party.name}: ${ends ? 'end of the scope' : 'release'}`);
  party.resource.release(party);
  if (!ends) lock?.release();
  finish?.();
  // The scope ends a few microtasks later.
  if (ends) await stage.settle();
}

async function abort(stage: Stage): Promise<void> {
  if (stage.locks.some(({ unsure }) => unsure)) await stage.settle();
  const asked = stage.pick(stage.asked.filter(({ controller }) => !controller.signal.aborted));
  if (asked === undefined) return;
  const { party, controller } = asked;
  stage.note(`${party.name}: abort`);
  // What is on its way from the kernel, because others had to have their turn, can still be given up.
  asked.givenUp = party.state === 'holding' && asked.lock === undefined;
  if (party.state === 'waiting') party.resource.leave(party, aborted);
  controller.abort(new Error('given up'));
  if (asked.givenUp) await stage.settle();
}

async function pass(stage: Stage): Promise<void> {
  await stage.settle();
  const ms = 1 + stage.random(40);
  stage.note(`${ms} ms later`);
  stage.now += ms;
  const late = stage.asked
    .map(({ party }) => party)
    .filter(({ deadline }) => deadline <= stage.now);
  for (const party of late.sort((a, b) => a.deadline - b.deadline)) {
    // Where the model is not sure, others may be granted together with those that are late, or before them.
    if (party.state === 'waiting' && !party.resource.unsure)
      party.resource.leave(party, 'ERR_LOCK_TIMEOUT');
  }
  vi.advanceTimersByTime(ms);
}

function renew(stage: Stage): void {
  const asked = stage.pick(stage.holders());
  if (asked?.party.hold === undefined) return;
  stage.note(`${asked.party.name}: renew`);
  // Often enough that it would be over without the last time.
  for (const lease of [10_000, 1_000, anHour]) asked.lock?.renew(lease);
  asked.party.hold.leased = true;
}

async function expire(stage: Stage): Promise<void> {
  const asked = stage.pick(
    stage.holders().filter(({ party }) => party.hold?.siblings.length === 0),
  );
  if (asked === undefined) return;
  const { hold, resource } = asked.party;
  stage.note(`${asked.party.name}: its lease runs out`);
  if (hold !== undefined) resource.lose(hold, 'ERR_LOCK_EXPIRED', true);
  asked.lock?.renew(1);
  await stage.settle();
}

async function loseAll(stage: Stage): Promise<void> {
  await stage.settle();
  const holds = stage.holds();
  if ([...holds].some(({ siblings }) => siblings.length > 0)) return;
  stage.note(`releaseAll(): ${holds.size}`);
  for (const resource of stage.locks) {
    for (const hold of [...resource.holds]) {
      if (holds.has(hold)) resource.lose(hold, 'ERR_LOCK_LOST', false);
    }
  }
  if (releaseAll() !== holds.size) stage.fail('releaseAll() is wrong');
}

async function replace(stage: Stage): Promise<void> {
  await stage.settle();
  const resource = stage.anyLock();
  const file = `${stage.board.folder}/${resource.name}.flock`;
  const by = stage.random(2) === 0 ? 'another one' : 'nothing';
  stage.note(`${resource.name}: the lock file is replaced by ${by}`);
  if (by === 'nothing') rmSync(file, { force: true });
  else {
    writeFileSync(`${file}.new`, '');
    renameSync(`${file}.new`, file);
  }
  resource.replace();
}

/** A worker comes, or is terminated. */
async function useWorker(stage: Stage): Promise<void> {
  await stage.settle();
  const before = stage.worker;
  if (before !== undefined) {
    stage.note(`${before.party.name}: the worker is terminated`);
    stage.worker = undefined;
    await before.terminate();
    const { hold, resource } = before.party;
    if (hold !== undefined) resource.lose(hold, 'ERR_LOCK_LOST', true);
    return;
  }
  const resource = stage.anyLock();
  if (resource.unsure || resource.queue.length > 0) return;
  const mode = stage.anyMode();
  const party = stage.party(resource, mode);
  const how = stage.pick(['tryLock', 'lock', 'lockSync'] as const) ?? 'lock';
  stage.note(`${party.name}: a worker calls tryLock() and ${how}() ${mode}`);
  resource.lagging = true;
  const worker = await WorkerHolder.start(party, how, stage.pathOf(resource));
  const granted = resource.allows(mode);
  if (worker.granted !== granted) stage.fail(`tryLock() of the worker is wrong`);
  if (granted) {
    resource.take(party);
    stage.worker = worker;
  } else {
    // Somewhere on its way into the wait.
    await sleep(stage.random(4));
    await worker.terminate();
  }
}

/** What can be done, and how often it is. */
export const threadActs: readonly [number, (stage: Stage) => void | Promise<void>][] = [
  [30, (stage) => ask(stage, 'wait')],
  [8, (stage) => ask(stage, stage.board.opensScopes ? 'open' : 'wait')],
  [8, (stage) => ask(stage, 'enter')],
  [26, release],
  [8, askOnce],
  [6, askSync],
  [9, nest],
  [6, abort],
  [5, pass],
  [3, renew],
  [3, expire],
  [1, loseAll],
  [1, useWorker],
  [3, (stage) => (stage.board.replaces ? replace(stage) : undefined)],
];

/** Ends whatever is held until nobody is left. */
export async function releaseEverything(stage: Stage): Promise<void> {
  if (stage.worker !== undefined) await useWorker(stage);
  for (;;) {
    await stage.settle();
    const [asked] = stage.holders();
    if (asked === undefined) return;
    stage.note(`${asked.party.name}: release at the end`);
    asked.party.resource.release(asked.party);
    asked.lock?.release();
    asked.finish?.();
  }
}
