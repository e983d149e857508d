import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { lock, lockSync } from 'holdfast';
import { expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';

/** The signals that each thread of a process has blocked, as a bit mask (proc_pid_status(5)). */
function blockedSignals(pid: number): bigint[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    return BigInt(`0x${/^SigBlk:\s*(\w+)/m.exec(status)?.[1]}`);
  });
}

const unblockable = ['SIGKILL', 'SIGSTOP'];
const blockable = Object.entries(constants.signals)
  .filter(([name]) => !unblockable.includes(name))
  .reduce((mask, [, number]) => mask | (1n << BigInt(number - 1)), 0n);

const blocksAll = (mask: bigint) => (mask & blockable) === blockable;

// Any signal, with or without SA_RESTART, cost a thread that is blocked in flock its place in the
// kernel's queue: 60 of 60 times.
needs('/proc', 'POSIX signals').each(['lock', 'lockSync'] as const)(
  'the thread in which %s waits has every signal blocked, and only that one',
  async (how) => {
    const resource = temporaryResource();
    const held = await lock(resource);
    const actor = await Actor.start();
    const before = blockedSignals(actor.pid).filter(blocksAll).length;
    const granted = actor.run(
      async ({ holdfast }, resource, how) => (await holdfast[how](resource)).held,
      resource,
      how,
    );
    await untilBlocked(`${resource}.flock`, 1);
    // A thread that Node is starting just now has them blocked for a moment.
    const others = () => blockedSignals(actor.pid).filter(blocksAll).length - before;
    while (others() !== 1) await nextTurn();
    held.release();
    await expect(granted).resolves.toBe(true);
  },
);

needs('/proc', 'POSIX signals')('signals do not cut a wait of lockSync short', async () => {
  const resource = temporaryResource();
  const held = lockSync(resource);
  const actor = await Actor.start();
  const granted = actor.run(({ holdfast }, resource) => {
    process.on('SIGUSR2', () => {});
    process.on('SIGWINCH', () => {});
    return holdfast.lockSync(resource).held;
  }, resource);
  await untilBlocked(`${resource}.flock`, 1);
  for (let round = 0; round < 20; round += 1) {
    actor.signal(round % 2 === 0 ? 'SIGUSR2' : 'SIGWINCH');
    await new Promise(setImmediate);
  }
  await untilBlocked(`${resource}.flock`, 1);
  held.release();
  await expect(granted).resolves.toBe(true);
});

needs('/proc', 'POSIX signals')(
  'a signal handler of the program still runs while it waits',
  async () => {
    const resource = temporaryResource();
    const held = lockSync(resource);
    const actor = await Actor.start();
    await actor.run(({ holdfast, emit, kept }, resource) => {
      process.on('SIGUSR2', () => emit('signal'));
      kept['waiting'] = holdfast.lock(resource);
    }, resource);
    await untilBlocked(`${resource}.flock`, 1);
    const handled = actor.next('signal');
    actor.signal('SIGUSR2');
    await handled;
    await untilBlocked(`${resource}.flock`, 1);
    held.release();
    await actor.run(async ({ kept }) => (await kept['waiting']).release());
  },
);
