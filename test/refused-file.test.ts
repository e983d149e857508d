import { chmodSync, copyFileSync, openSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { tryLock } from 'holdfast';
import { expect } from 'vitest';
import { failures } from './helpers/failures.js';
import { temporaryFolder, temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';
import { slowness } from './helpers/slowness.js';

/** A resource whose lock file nobody may write to. */
function refusedResource(): string {
  const resource = temporaryResource();
  writeFileSync(`${resource}.flock`, '');
  chmodSync(`${resource}.flock`, 0o444);
  return resource;
}

/** How this system's Node says that it may not be written to. */
function refusal(path: string): NodeJS.ErrnoException {
  try {
    openSync(path, 'r+');
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
  throw new Error('it may be');
}

needs('files that are protected from writing')(
  'a lock file that stays refused is an error as Node has it, after a moment',
  async () => {
    const resource = refusedResource();
    const path = `${resource}.flock`;
    const { code, errno } = refusal(path);
    const asked = performance.now();
    for (const error of await failures(resource))
      expect(error).toMatchObject({ code, errno, path });
    // Four calls, each with the grace that Windows needs.
    expect(performance.now() - asked).toBeLessThan(1_000 * slowness);
    chmodSync(path, 0o666);
    expect(tryLock(resource)?.held).toBe(true);
  },
);

needs('files that are protected from writing')(
  'a lock file that may only be read can be locked by those who do not write',
  () => {
    const resource = refusedResource();
    for (const options of [{ mode: 'shared' }, { record: false }] as const) {
      using held = tryLock(resource, options);
      expect(held?.held).toBe(true);
    }
  },
);

for (const [system, program] of [
  ['Linux', '/bin/cat'],
  ['Windows', process.env['ComSpec'] ?? ''],
] as const) {
  needs(system)(
    `a program that runs on ${system} can be locked by those who do not write`,
    async () => {
      const lockPath = join(temporaryFolder(), basename(program));
      copyFileSync(program, lockPath);
      const running = start(lockPath, []);
      running.child.stdin?.write('echo here\r\n');
      await running.printed('here');
      for (const options of [{ mode: 'shared' }, {}] as const) {
        using held = tryLock('x', { ...options, lockPath, record: false });
        expect(held?.held).toBe(true);
      }
      running.child.stdin?.end();
      await running.ended;
    },
  );
}

// A virus scanner may have a new file for itself for a moment, and Windows calls that so.
needs('files that are protected from writing', 'Windows')(
  'a refusal that is over in a moment is sat out',
  async () => {
    const resource = refusedResource();
    const path = `${resource}.flock`;
    const asked = new Int32Array(new SharedArrayBuffer(4));
    const source = `
      const { chmodSync } = require('node:fs');
      const { parentPort, workerData: { asked, path } } = require('node:worker_threads');
      for (;;) {
        Atomics.wait(asked, 0, 0);
        Atomics.wait(asked, 0, 1, 4);
        chmodSync(path, 0o666);
        Atomics.store(asked, 0, 0);
        parentPort.postMessage('allowed');
      }`;
    const worker = new Worker(source, { eval: true, workerData: { asked, path } });
    await new Promise((resolve) => worker.once('online', resolve));
    let satOut = 0;
    // The other thread may be late, and the grace is short.
    for (let round = 0; round < 50 && satOut < 5; round += 1) {
      chmodSync(path, 0o444);
      const allowed = new Promise((resolve) => worker.once('message', resolve));
      Atomics.store(asked, 0, 1);
      Atomics.notify(asked, 0);
      try {
        tryLock(resource)?.release();
        satOut += 1;
      } catch (error) {
        expect(error).toMatchObject({ code: 'EPERM' });
      }
      await allowed;
    }
    await worker.terminate();
    expect(satOut).toBe(5);
  },
);
