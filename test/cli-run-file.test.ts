import { constants, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from 'holdfast';
import { expect } from 'vitest';
import { untilBlocked } from './helpers/blocked.js';
import { holdfast } from './helpers/cli.js';
import { faultyActor, setFault } from './helpers/faulty-actor.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

/** A script that ends when its standard input does. */
function script(): string {
  const file = join(temporaryFolder(), 'script');
  writeFileSync(file, '#!/bin/sh\necho in\nread line\nexit 7\n', { mode: 0o755 });
  return file;
}

needs('/proc', 'sh').each(['run', 'run --inherit'])(
  'holdfast %s locks the script that it runs, and keeps nobody from running it',
  async (how) => {
    const file = script();
    const first = holdfast(...how.split(' '), file, file);
    await first.printed('in');
    const second = holdfast(...how.split(' '), file, file);
    await untilBlocked(file, 1);
    const unguarded = start(file, []);
    await unguarded.printed('in');
    unguarded.child.stdin?.end();
    expect((await unguarded.ended).code).toBe(7);
    first.child.stdin?.end();
    await second.printed('in');
    expect(tryLock('x', { lockPath: file, record: false })).toBeNull();
    second.child.stdin?.end();
    for (const { ended } of [first, second])
      expect(await ended).toMatchObject({ code: 7, stderr: '' });
  },
);

needs('faults by LD_PRELOAD', '/proc').each([
  ['reading on other file systems', 0, constants.O_RDONLY],
  ['writing on NFS', 0x6969, constants.O_RDWR],
] as const)('a script is locked by a descriptor for %s', async (_, type, mode) => {
  const actor = await faultyActor();
  await setFault(actor, 'STATFS', type);
  const modes = await actor.run(({ holdfast, kept }, lockPath) => {
    const { readdirSync, readFileSync, readlinkSync } = process.getBuiltinModule('node:fs');
    kept['lock'] = holdfast.tryLock('x', { lockPath, record: false });
    const open = readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === lockPath;
      } catch {
        return false;
      }
    });
    return open.map((fd) => {
      const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
      return Number.parseInt(/^flags:\s*(\d+)$/m.exec(info)?.[1] ?? '', 8) & 3;
    });
  }, script());
  expect(modes).toEqual([mode]);
});
