import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';

const threads = ({ kept }: { kept: Record<string, number> }) =>
  process.getBuiltinModule('node:fs').readdirSync('/proc/self/task').length - (kept['before'] ?? 0);

const mostLocks = 100_000;

needs('/proc', 'sh')(
  `the leases of ${mostLocks} locks cost one thread, which ends after the last of them`,
  { timeout: 120_000 },
  async () => {
    // The shell raises the limit of open files as far as it may.
    const actor = await Actor.start({
      execPath: 'sh',
      execArgv: ['-c', 'ulimit -n "$(ulimit -H -n)"; exec "$0" "$@"', process.execPath],
    });
    await actor.run((stage) => {
      stage.kept['before'] = process
        .getBuiltinModule('node:fs')
        .readdirSync('/proc/self/task').length;
    });
    const held = await actor.run(
      ({ holdfast, kept }, folder, most) => {
        kept['locks'] = [];
        try {
          while (kept['locks'].length < most) {
            const path = `${folder}/${kept['locks'].length}`;
            kept['locks'].push(holdfast.tryLock(path, { lease: 600_000 }));
          }
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error;
          // Something has to be left for reading /proc.
          for (const lock of kept['locks'].splice(-10)) lock.release();
        }
        for (const lock of kept['locks']) lock.renew(900_000);
        return kept['locks'].length;
      },
      temporaryFolder(),
      mostLocks,
    );
    if (held < mostLocks) console.log(`this system limits a process to ${held} open lock files`);
    await expect(actor.run(threads)).resolves.toBe(1);
    await actor.run(({ kept }) => {
      for (const lock of kept['locks']) lock.release();
    });
    // It lingers for a second in case that another lease follows.
    while ((await actor.run(threads)) > 0) await sleep(50);
  },
);

needs('/proc')('a lock without a lease starts no thread', async () => {
  const actor = await Actor.start();
  await actor.run((stage) => {
    stage.kept['before'] = process
      .getBuiltinModule('node:fs')
      .readdirSync('/proc/self/task').length;
  });
  await actor.run(({ holdfast, kept }, folder) => {
    kept['lock'] = holdfast.tryLock(`${folder}/one`);
  }, temporaryFolder());
  await expect(actor.run(threads)).resolves.toBe(0);
});
