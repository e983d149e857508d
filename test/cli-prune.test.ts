import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor, type Stage } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { holdfast, holdfastWith } from './helpers/cli.js';
import { faults } from './helpers/faults.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { moduleCommand, start } from './helpers/program.js';
import { rounds, slowness } from './helpers/slowness.js';
import { untilOpen } from './helpers/until-open.js';

/** A folder with lock files of all kinds; `held.flock` is held. */
function folderOfAll() {
  const folder = temporaryFolder();
  tryLock(join(folder, 'free'))?.release();
  writeFileSync(join(folder, 'empty.flock'), '');
  writeFileSync(join(folder, 'zeros.flock'), Buffer.alloc(512));
  writeFileSync(join(folder, 'foreign.flock'), 'data');
  writeFileSync(
    join(folder, 'begins-like-one.flock'),
    `{"holdfast":1,"state":"${' '.repeat(1_000)}`,
  );
  writeFileSync(join(folder, 'data.jsonl'), '');
  writeFileSync(join(folder, 'other.lock'), '');
  mkdirSync(join(folder, 'sub.flock'));
  tryLock(join(folder, 'sub.flock', 'deep'))?.release();
  symlinkSync(join(folder, 'data.jsonl'), join(folder, 'link.flock'));
  const held = tryLock(join(folder, 'held'));
  const deep = join('sub.flock', 'deep.flock');
  const removable = ['empty.flock', 'free.flock', deep, 'zeros.flock'];
  return { folder, held, removable };
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true }).map(String).sort();
}

test('holdfast prune removes lock files that nobody holds, and nothing else', async () => {
  const { folder, held, removable } = folderOfAll();
  const before = filesIn(folder);
  const { code, stdout, stderr } = await holdfast('prune', folder).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const left = filesIn(folder);
  expect(before.filter((name) => !left.includes(name))).toEqual(removable);
  expect(stdout).toBe(
    `${removable.map((name) => `${join(folder, name)}\n`).join('')}removed 4, kept 1 held, 2 other content\n`,
  );
  expect(held?.held).toBe(true);
  expect(readFileSync(join(folder, 'foreign.flock'), 'utf8')).toBe('data');
});

test('holdfast prune --dry-run removes nothing and says what it would', async () => {
  const { folder, held, removable } = folderOfAll();
  const before = filesIn(folder);
  const { code, stdout } = await holdfast('prune', '--dry-run', folder).ended;
  expect(code).toBe(0);
  expect(stdout.split('\n').filter((line) => line.startsWith(folder))).toEqual(
    removable.map((name) => join(folder, name)),
  );
  expect(stdout).toMatch(/\nwould remove 4, kept 1 held, 2 other content\n$/);
  expect(filesIn(folder)).toEqual(before);
  // Else it would be collected with the lock.
  expect(held?.held).toBe(true);
});

test('holdfast prune keeps what a sharer holds', async () => {
  const folder = temporaryFolder();
  using _ = tryLock(join(folder, 'a'), { mode: 'shared' });
  expect((await holdfast('prune', folder).ended).stdout).toBe('removed 0, kept 1 held\n');
  expect(filesIn(folder)).toEqual(['a.flock']);
});

needs('flock(1)')('holdfast prune keeps what flock(1) holds', async () => {
  const folder = temporaryFolder();
  const { printed } = start('flock', [join(folder, 'a.flock'), '-c', 'echo in; read line']);
  await printed('in');
  expect((await holdfast('prune', folder).ended).stdout).toBe('removed 0, kept 1 held\n');
});

test('holdfast prune --keep-crashed leaves the trace of a crash', async () => {
  const folder = temporaryFolder();
  const actor = await Actor.start();
  await actor.run(
    ({ holdfast, kept }, resource) => {
      kept['lock'] = holdfast.tryLock(resource);
    },
    join(folder, 'a'),
  );
  await actor.kill();
  tryLock(join(folder, 'free'))?.release();
  const kept = await holdfast('prune', '--keep-crashed', folder).ended;
  expect(kept.stdout).toBe(`${join(folder, 'free.flock')}\nremoved 1, kept 1 crashed\n`);
  expect((await holdfast('prune', folder).ended).stdout).toMatch(/\nremoved 1\n$/);
});

test('a waiter whose lock file is pruned under it gets a new one', async () => {
  const folder = temporaryFolder();
  const resource = join(folder, 'a');
  const actor = await Actor.start();
  const held = tryLock(resource);
  const waiting = actor.run(async ({ holdfast, kept }, resource) => {
    kept['lock'] = await holdfast.lock(resource);
    return kept['lock'].held;
  }, resource);
  await untilBlocked(`${resource}.flock`, 1);
  held?.release();
  await holdfast('prune', folder).ended;
  expect(await waiting).toBe(true);
  expect(tryLock(resource)).toBeNull();
});

needs('root')('holdfast prune says what it could not remove, and goes on', async () => {
  const folder = temporaryFolder('/tmp');
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'open'));
  chmodSync(join(folder, 'open'), 0o777);
  mkdirSync(join(folder, 'closed'), { mode: 0o700 });
  for (const name of ['a', 'open/b']) tryLock(join(folder, name), { fileMode: 0o666 })?.release();
  const nobody = { uid: 65534, gid: 65534 };
  const { code, stdout, stderr } = await holdfastWith(nobody, 'prune', folder).ended;
  expect(code).toBe(74);
  const [first, second, ...more] = stderr.split('\n');
  expect(first).toMatch(/^holdfast: EACCES: .*unlink.*a\.flock'$/);
  expect(second).toMatch(/^holdfast: EACCES: .*closed'$/);
  expect(more).toEqual(['']);
  expect(stdout).toMatch(/\nremoved 1\n$/);
});

needs('root')('holdfast prune of a folder that it may not read fails', async () => {
  const folder = temporaryFolder('/tmp');
  chmodSync(folder, 0o700);
  const nobody = { uid: 65534, gid: 65534 };
  const { code, stdout, stderr } = await holdfastWith(nobody, 'prune', folder).ended;
  expect({ code, stdout }).toEqual({ code: 66, stdout: '' });
  expect(stderr).toMatch(/^holdfast: EACCES: [^\n]+\n$/);
});

needs('faults by LD_PRELOAD', '/proc')(
  'holdfast prune leaves a lock file alone that replaced the one that it locks',
  async () => {
    const folder = temporaryFolder();
    const go = join(temporaryFolder(), 'go');
    const path = join(folder, 'a.flock');
    tryLock(join(folder, 'a'))?.release();
    const env = { ...process.env, ...faults, FAULT_LOCK_UNTIL: go };
    const pruning = holdfastWith({ env }, 'prune', folder);
    await untilOpen(pruning, path);
    // By name it is no lock file.
    renameSync(path, join(folder, 'moved'));
    using held = tryLock(join(folder, 'a'));
    writeFileSync(go, '');
    expect(await pruning.ended).toMatchObject({ code: 0, stdout: 'removed 0, kept 1 held\n' });
    expect(held?.held).toBe(true);
    expect(filesIn(folder)).toEqual(['a.flock', 'moved']);
  },
);

test('holdfast prune needs one folder', async () => {
  const file = join(temporaryFolder(), 'file');
  writeFileSync(file, '');
  for (const args of [[], ['a', 'b'], [file]]) {
    const { code, stderr } = await holdfast('prune', ...args).ended;
    expect(code).toBe(64);
    expect(stderr).toMatch(/^holdfast: [^\n]+\n$/);
  }
  expect((await holdfast('prune', join(file, 'below')).ended).code).toBe(66);
});

const pruning = `
  const { prune } = await import(process.env.PRUNE);
  process.stdout.write('in\\n');
  const write = process.stdout.write;
  let removed = 0;
  process.stdout.write = (text) => {
    removed += Number(/^removed (\\d+)/.exec(text)?.[1] ?? 0);
    return true;
  };
  let go = true;
  process.stdin.resume().on('end', () => { go = false; });
  while (go) {
    await prune.run([process.argv[2]]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  write.call(process.stdout, String(removed));
`;

/** Read, let others run, write: two holders at a time would lose a count. */
const increment = async ({ holdfast }: Stage, resources: string[], rounds: number) => {
  const { readFileSync, writeFileSync } = process.getBuiltinModule('node:fs');
  for (let i = 0; i < rounds; i += 1) {
    const resource = resources[Math.floor(Math.random() * resources.length)] as string;
    await holdfast.withLock(resource, async () => {
      const count = Number(readFileSync(resource, 'utf8'));
      await new Promise((resolve) => setImmediate(resolve));
      writeFileSync(resource, String(count + 1));
    });
  }
};

test('racing holders lose nothing to holdfast prune', { timeout: 120_000 * slowness }, async () => {
  const folder = temporaryFolder();
  const resources = Array.from({ length: 8 }, (_, i) => join(folder, `counter-${i}`));
  for (const resource of resources) writeFileSync(resource, '0');
  const env = { ...process.env, PRUNE: new URL('../dist/cli/prune.js', import.meta.url).href };
  const [program, ...args] = moduleCommand(pruning);
  const pruners = [0, 1].map(() => start(program, [...args, folder], { env }));
  await Promise.all(pruners.map(({ printed }) => printed('in')));

  const each = rounds(4_000);
  const actors = await Promise.all([Actor.start(), Actor.start(), Actor.start()]);
  await Promise.all(actors.map((actor) => actor.run(increment, resources, each)));
  for (const { child } of pruners) child.stdin?.end();
  const removed = await Promise.all(
    pruners.map(async ({ ended }) => Number((await ended).stdout.slice(3))),
  );
  const counts = resources.map((resource) => Number(readFileSync(resource, 'utf8')));
  expect(counts.reduce((sum, count) => sum + count)).toBe(each * actors.length);
  expect(removed.reduce((sum, count) => sum + count)).toBeGreaterThan(rounds(100));
});
