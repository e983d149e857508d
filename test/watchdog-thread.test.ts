import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';

const threads = ({ kept }: { kept: Record<string, number> }) =>
  process.getBuiltinModule('node:fs').readdirSync('/proc/self/task').length - (kept['before'] ?? 0);

needs('/proc')(
  'any number of leases cost one thread, which ends after the last of them',
  async () => {
    const actor = await Actor.start();
    await actor.run((stage) => {
      stage.kept['before'] = process
        .getBuiltinModule('node:fs')
        .readdirSync('/proc/self/task').length;
    });
    const held = await actor.run(({ holdfast, kept }, folder) => {
      // 100,000 leases on 1,000 descriptors: each lock is renewed a hundred times with another end.
      kept['locks'] = Array.from({ length: 1_000 }, (_, number) =>
        holdfast.tryLock(`${folder}/${number}`, { lease: 60_000 }),
      );
      for (let round = 0; round < 100; round += 1) {
        for (const lock of kept['locks']) lock.renew(30_000 + round * 100);
      }
      return kept['locks'].length;
    }, temporaryFolder());
    expect(held).toBe(1_000);
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
