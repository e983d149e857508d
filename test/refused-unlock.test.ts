import { constants } from 'node:os';
import { tryLock } from 'holdfast';
import { describe, expect } from 'vitest';
import { faultyActor, setFault } from './helpers/faulty-actor.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { slowness } from './helpers/slowness.js';
import { letGo, take } from './helpers/take.js';

const { errno } = constants;

describe('a lock that cannot be unlocked', () => {
  needs('faults by LD_PRELOAD')('is still held, and can be released again', async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    await take(actor, resource, 'lock');
    await setFault(actor, 'UNLOCK', errno.EIO);
    await expect(letGo(actor)).rejects.toMatchObject({ code: 'EIO', syscall: 'flock' });
    expect(tryLock(resource)).toBeNull();
    await expect(actor.run(({ holdfast }) => holdfast.heldLocks().length)).resolves.toBe(1);
    await setFault(actor, 'UNLOCK', 0);
    await expect(letGo(actor)).resolves.toBe(false);
    tryLock(resource)?.release();
  });

  needs('faults by LD_PRELOAD')('keeps its lease and its record until then', async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    const lost = actor.next('lost');
    const lease = 500 * slowness;
    const seen = await actor.run(
      async ({ holdfast, kept, emit }, resource, eio, lease) => {
        const lock = await holdfast.lock(resource, { lease });
        kept['lock'] = lock;
        lock.signal.addEventListener('abort', () => emit('lost', lock.signal.reason.code));
        process.env['FAULT_UNLOCK'] = String(eio);
        let refused: unknown;
        try {
          lock.release();
        } catch (error) {
          refused = (error as NodeJS.ErrnoException).code;
        }
        const { holder, crashed } = await holdfast.inspect(resource);
        return { refused, lease: holder?.lease, crashed };
      },
      resource,
      errno.EIO,
      lease,
    );
    expect(seen).toEqual({ refused: 'EIO', lease, crashed: false });
    // The watchdog closes what it cannot unlock.
    expect(await lost).toBe('ERR_LOCK_EXPIRED');
    using held = tryLock(resource);
    expect(held?.previousHolder).toMatchObject({ pid: actor.pid, state: 'held' });
  });

  needs('faults by LD_PRELOAD')('ends when its lease cannot begin', async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    const outcome = await actor.run(
      ({ holdfast }, resource, eio, eagain) => {
        process.env['FAULT_UNLOCK'] = String(eio);
        process.env['FAULT_THREAD'] = String(eagain);
        try {
          holdfast.tryLock(resource, { lease: 60_000 });
          return 'locked';
        } catch (error) {
          return [(error as NodeJS.ErrnoException).code, holdfast.heldLocks().length];
        }
      },
      resource,
      errno.EIO,
      errno.EAGAIN,
    );
    expect(outcome).toEqual(['EIO', 0]);
    expect(tryLock(resource)).not.toBeNull();
  });

  needs('faults by LD_PRELOAD')('ends with its using block, which fails', async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    const outcome = await actor.run(
      async ({ holdfast }, resource, eio) => {
        const lock = await holdfast.lock(resource);
        process.env['FAULT_UNLOCK'] = String(eio);
        const failed = await lock[Symbol.asyncDispose]().catch(({ code }) => code);
        return { failed, reason: lock.signal.reason.code, cause: lock.signal.reason.cause.code };
      },
      resource,
      errno.EIO,
    );
    expect(outcome).toEqual({ failed: 'EIO', reason: 'ERR_LOCK_LOST', cause: 'EIO' });
    using held = tryLock(resource);
    expect(held?.held).toBe(true);
  });

  needs('faults by LD_PRELOAD')('is handed over to the next task of the process', async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    const count = await actor.run(
      async ({ holdfast }, resource, eio) => {
        const first = await holdfast.lock(resource);
        let count = 0;
        const tasks = Array.from({ length: 200 }, () =>
          holdfast.withLock(resource, async () => {
            count += 1;
            await new Promise(setImmediate);
          }),
        );
        process.env['FAULT_UNLOCK'] = String(eio);
        first.release();
        const last = await Promise.allSettled(tasks);
        process.env['FAULT_UNLOCK'] = '0';
        return { count, failed: last.filter(({ status }) => status === 'rejected').length };
      },
      resource,
      errno.EIO,
    );
    // Nobody follows the last one, so its release has to fail.
    expect(count).toEqual({ count: 200, failed: 1 });
  });

  needs('faults by LD_PRELOAD')('keeps out those who wait until all have released', async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    const outcome = await actor.run(
      async ({ holdfast }, resource, eio) => {
        const first = await holdfast.lock(resource, { mode: 'shared' });
        const second = await holdfast.lock(resource, { mode: 'shared' });
        const writing = holdfast.lock(resource);
        process.env['FAULT_UNLOCK'] = String(eio);
        let refused: unknown;
        try {
          first.release();
        } catch (error) {
          refused = (error as NodeJS.ErrnoException).code;
        }
        process.env['FAULT_UNLOCK'] = '0';
        second.release();
        const held = holdfast.heldLocks().map(({ mode }) => mode);
        first.release();
        const next = await writing;
        const granted = next.held;
        next.release();
        return { refused, held, granted };
      },
      resource,
      errno.EIO,
    );
    expect(outcome).toEqual({ refused: 'EIO', held: ['shared'], granted: true });
  });

  needs('faults by LD_PRELOAD')('is free all the same when it is taken away', async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    await take(actor, resource, 'lock');
    await setFault(actor, 'UNLOCK', errno.EIO);
    await expect(actor.run(({ holdfast }) => holdfast.releaseAll())).resolves.toBe(1);
    using held = tryLock(resource);
    expect(held?.held).toBe(true);
  });

  needs('faults by LD_PRELOAD')('fails its withLock, unless that failed by itself', async () => {
    const resource = temporaryResource();
    const actor = await faultyActor();
    const outcomes = await actor.run(
      async ({ holdfast }, resource, eio) => {
        const warnings: string[] = [];
        process.on('warning', ({ message }) => warnings.push(message));
        const unlockFails = () => {
          process.env['FAULT_UNLOCK'] = String(eio);
        };
        const sync = await holdfast.withLock(resource, unlockFails).catch(({ code }) => code);
        const later = async () => unlockFails();
        const one = await holdfast.withLock(resource, later).catch(({ code }) => code);
        const two = await holdfast
          .withLock(resource, async () => {
            unlockFails();
            throw new Error('its own');
          })
          .catch(({ message }) => message);
        await new Promise(setImmediate);
        return {
          sync,
          one,
          two,
          held: holdfast.heldLocks().length,
          warned: warnings.some((text) => text.includes('could not be released')),
        };
      },
      resource,
      errno.EIO,
    );
    // Nobody is left who could release again, so the lock has ended all the same.
    expect(outcomes).toEqual({ sync: 'EIO', one: 'EIO', two: 'its own', held: 0, warned: true });
    using held = tryLock(resource);
    expect(held?.held).toBe(true);
  });
});
