// A user's program, for what `node smoke.mjs CASE` names. It runs where the package was installed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

const resource = fileURLToPath(new URL('guarded.txt', import.meta.url));
const [, program, chosen] = process.argv;

function useOnce({ tryLock }) {
  const lock = tryLock(resource);
  if (lock === null) throw new Error('a free lock was refused');
  lock.release();
}

const cases = {
  import: async () => useOnce(await import('holdfast')),

  require: async () => useOnce(createRequire(import.meta.url)('holdfast')),

  'in a worker': async () => {
    const [code] = await once(new Worker(program, { argv: ['import'] }), 'exit');
    if (code !== 0) throw new Error(`the worker ended with ${code}`);
  },

  'two processes exclude each other': async () => {
    const { lock, tryLock } = await import('holdfast');
    const stdio = ['pipe', 'pipe', 'inherit'];
    const holder = spawn(process.execPath, [program, 'hold'], { stdio });
    await once(holder.stdout, 'data');
    if (tryLock(resource) !== null) throw new Error('two have the lock');
    const granted = lock(resource, { timeout: 30_000 });
    holder.stdin.end();
    (await granted).release();
  },

  hold: async () => {
    const { tryLock } = await import('holdfast');
    const lock = tryLock(resource);
    process.stdout.write(lock === null ? '' : 'held\n');
    process.stdin.resume();
    await once(process.stdin, 'end');
    lock.release();
  },

  'without a binary': async () => {
    const { message } = await import('holdfast').catch((error) => error);
    process.stdout.write(message);
  },
};

await cases[chosen]();
