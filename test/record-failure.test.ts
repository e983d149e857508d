import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { inspect, tryLock } from 'holdfast';
import { expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { faults } from './helpers/faults.js';
import { temporaryFolder, temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { moduleCommand, start } from './helpers/program.js';

const errors = { EIO: 5, ENOSPC: 28, EROFS: 30 };

/** Tries in the actor to take the lock while writing fails, then once more when it works again. */
function tryWhileWritingFails(actor: Actor, resource: string, error: number) {
  return actor.run(
    async ({ holdfast, kept }, resource, error) => {
      const codeOf = (thrown: unknown) => {
        const { code, syscall, path } = thrown as NodeJS.ErrnoException;
        return { code, syscall, path };
      };
      process.env['FAULT_WRITE'] = String(error);
      const failures: unknown[] = [];
      try {
        holdfast.tryLock(resource);
      } catch (thrown) {
        failures.push(codeOf(thrown));
      }
      await holdfast.lock(resource).catch((thrown) => failures.push(codeOf(thrown)));
      const unrecorded = holdfast.tryLock(resource, { record: false });
      const without = unrecorded !== null;
      unrecorded?.release();
      process.env['FAULT_WRITE'] = '0';
      kept['go'] = () => holdfast.tryLock(resource)?.token === 1n;
      return { failures, without, held: holdfast.heldLocks().length };
    },
    resource,
    error,
  );
}

for (const [code, error] of Object.entries(errors)) {
  needs('faults by LD_PRELOAD')(
    `a record that fails with ${code} leaves the lock free`,
    async () => {
      const resource = temporaryResource();
      const actor = await Actor.start({ env: faults });
      const failure = { code, syscall: 'pwrite', path: `${resource}.flock` };
      expect(await tryWhileWritingFails(actor, resource, error)).toEqual({
        failures: [failure, failure],
        without: true,
        held: 0,
      });
      // The process lives on, so nothing but the failed attempts can have freed it.
      expect(await inspect(resource)).toMatchObject({ state: 'free', crashed: false });
      expect(await actor.run(({ kept }) => kept['go']())).toBe(true);
    },
  );
}

needs('faults by LD_PRELOAD')('a waiter whose record fails passes the lock on', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start({ env: faults });
  const held = tryLock(resource);
  const failing = actor.run(async ({ holdfast }, resource) => {
    process.env['FAULT_WRITE'] = '5';
    const first = holdfast.lock(resource);
    const second = holdfast.lock(resource, { record: false });
    const code = await first.catch(({ code }) => code);
    return [code, (await second).held];
  }, resource);
  held?.release();
  expect(await failing).toEqual(['EIO', true]);
});

needs('faults by LD_PRELOAD')('a release that cannot be marked still frees the lock', async () => {
  const resource = temporaryResource();
  const actor = await Actor.start({ env: faults });
  await actor.run(({ holdfast }, resource) => {
    const held = holdfast.tryLock(resource);
    process.env['FAULT_WRITE'] = '5';
    held?.release();
  }, resource);
  using next = tryLock(resource);
  // A needless look at what it left behind: the safe side.
  expect(next?.previousHolder).toMatchObject({ pid: actor.pid });
});

const fullDisk = `
  const { tryLock, inspect } = await import(process.env.HOLDFAST_ENTRY);
  const { writeFileSync } = await import('node:fs');
  const resource = process.argv[2];
  try {
    writeFileSync(resource, Buffer.alloc(1 << 20));
  } catch {}
  let code;
  try { tryLock(resource); } catch (error) { code = error.code; }
  const { state } = await inspect(resource);
  console.log(JSON.stringify({ code, state, without: tryLock(resource, { record: false })?.held }));
`;

needs('the right to mount')(
  'on a full disk the attempt fails with ENOSPC and frees it',
  async () => {
    const folder = temporaryFolder();
    const entry = new URL('../dist/index.js', import.meta.url).href;
    const command = 'mount -t tmpfs -o size=64k none "$0" && exec "$@" "$0/resource"';
    const { ended } = start(
      'unshare',
      ['-m', 'sh', '-c', command, folder, ...moduleCommand(fullDisk)],
      { env: { ...process.env, HOLDFAST_ENTRY: entry } },
    );
    const { stdout, stderr } = await ended;
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ code: 'ENOSPC', state: 'free', without: true });
  },
);

needs('root')(
  'a lock file that may only be read is an error, unless nothing is written',
  async () => {
    const folder = temporaryFolder('/tmp');
    chmodSync(folder, 0o755);
    const resource = `${folder}/resource`;
    tryLock(resource, { fileMode: 0o644 })?.release();
    const before = readFileSync(`${resource}.flock`, 'utf8');
    const nobody = await Actor.start({ uid: 65534, gid: 65534 });
    const result = await nobody.run(async ({ holdfast }, resource) => {
      const shared = holdfast.tryLock(resource, { mode: 'shared' });
      const token = String(shared?.token);
      shared?.release();
      const code = await holdfast.lock(resource).catch(({ code }) => code);
      const exclusive = holdfast.tryLock(resource, { record: false });
      const excludes = holdfast.tryLock(resource, { mode: 'shared' }) === null;
      exclusive?.release();
      return { token, code, excludes };
    }, resource);
    expect(result).toEqual({ token: '1', code: 'EACCES', excludes: true });
    expect((await inspect(resource)).state).toBe('free');
    expect(readFileSync(`${resource}.flock`, 'utf8')).toBe(before);
  },
);

needs('root')(
  'a lock that is handed over by one who may only read is opened anew to write the record',
  async () => {
    const folder = temporaryFolder('/tmp');
    chmodSync(folder, 0o755);
    const resource = `${folder}/resource`;
    tryLock(resource, { fileMode: 0o644 })?.release();
    const nobody = await Actor.start({ uid: 65534, gid: 65534 });
    const failure = await nobody.run(async ({ holdfast }, resource) => {
      const shared = await holdfast.lock(resource, { mode: 'shared' });
      const next = holdfast.lock(resource, { record: false });
      const last = holdfast.lock(resource).catch(({ code, syscall }) => ({ code, syscall }));
      shared.release();
      (await next).release();
      return last;
    }, resource);
    expect(failure).toEqual({ code: 'EACCES', syscall: 'open' });
    expect((await inspect(resource)).state).toBe('free');
  },
);

needs('faults by LD_PRELOAD')('a foreign file is refused before anything is written', async () => {
  const lockPath = temporaryResource();
  writeFileSync(lockPath, 'data');
  const actor = await Actor.start({ env: faults });
  const code = await actor.run(async ({ holdfast }, lockPath) => {
    process.env['FAULT_WRITE'] = '5';
    return holdfast.lock('x', { lockPath }).catch(({ code }) => code);
  }, lockPath);
  expect(code).toBe('ERR_LOCK_FOREIGN_FILE');
});
