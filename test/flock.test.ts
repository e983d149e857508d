import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { flock, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

function openTwice(flags = 'r+'): [path: string, first: number, second: number] {
  const path = temporaryResource();
  writeFileSync(path, 'content');
  return [path, openSync(path, flags), openSync(path, flags)];
}

test('flock excludes between two descriptors of one file, until it is unlocked', () => {
  const [, first, second] = openTwice();
  expect(flock(first, 'exclusive')).toBe(true);
  expect(flock(second, 'exclusive')).toBe(false);
  expect(flock(second, 'shared')).toBe(false);
  expect(flock(first, 'unlock')).toBe(true);
  expect(flock(second, 'exclusive')).toBe(true);
  closeSync(second);
  expect(flock(first, 'exclusive')).toBe(true);
  closeSync(first);
});

test('flock shares between two descriptors', () => {
  const [, first, second] = openTwice();
  expect(flock(first, 'shared')).toBe(true);
  expect(flock(second, 'shared')).toBe(true);
  expect(flock(second, 'exclusive')).toBe(false);
  closeSync(first);
  closeSync(second);
});

test('flock excludes between processes', async () => {
  const [path, first] = openTwice();
  flock(first, 'exclusive');
  const actor = await Actor.start();
  const attempt = () =>
    actor.run(({ holdfast }, path) => {
      const { closeSync, openSync } = process.getBuiltinModule('node:fs');
      const fd = openSync(path, 'r+');
      const locked = holdfast.flock(fd, 'exclusive');
      closeSync(fd);
      return locked;
    }, path);
  await expect(attempt()).resolves.toBe(false);
  flock(first, 'unlock');
  await expect(attempt()).resolves.toBe(true);
  closeSync(first);
});

test('flock works on the descriptor of a FileHandle', async () => {
  const [path, first] = openTwice();
  const handle = await open(path, 'r+');
  expect(flock(handle.fd, 'exclusive')).toBe(true);
  expect(flock(first, 'shared')).toBe(false);
  await handle.close();
  expect(flock(first, 'shared')).toBe(true);
  closeSync(first);
});

test('flock never writes', () => {
  const [path, first] = openTwice();
  flock(first, 'exclusive');
  flock(first, 'unlock');
  closeSync(first);
  expect(readFileSync(path, 'utf8')).toBe('content');
});

needs('/proc')('flock conflicts with the locks of this library', () => {
  const resource = temporaryResource();
  using held = tryLock(resource);
  expect(held?.held).toBe(true);
  const fd = openSync(`${resource}.flock`, 'r+');
  expect(flock(fd, 'shared')).toBe(false);
  closeSync(fd);
});

needs('/proc')('flock works on a descriptor for reading alone', () => {
  const [, first, second] = openTwice('r');
  expect(flock(first, 'exclusive')).toBe(true);
  expect(flock(second, 'exclusive')).toBe(false);
  closeSync(first);
  closeSync(second);
});

// What follows is how flock(2) behaves on Linux; it is why lock() gives each holder a descriptor of
// its own and why there is no upgrade.
needs('flock(1)')(
  'a lock belongs to the open file, and every copy of the descriptor unlocks it',
  () => {
    const [, first, second] = openTwice();
    expect(flock(first, 'exclusive')).toBe(true);
    const stdio = ['ignore', 'ignore', 'ignore', first] as const;
    expect(spawnSync('flock', ['-u', '3'], { stdio: [...stdio] }).status).toBe(0);
    expect(flock(second, 'exclusive')).toBe(true);
    closeSync(first);
    closeSync(second);
  },
);

needs('sh')(
  'a child that inherits the descriptor keeps the lock after its parent closed it',
  async () => {
    const [, first, second] = openTwice();
    expect(flock(first, 'exclusive')).toBe(true);
    const child = start('sh', ['-c', 'echo ready; read line'], {
      stdio: ['pipe', 'pipe', 'ignore', first],
    });
    await child.printed('ready');
    closeSync(first);
    expect(flock(second, 'exclusive')).toBe(false);
    child.child.stdin?.end();
    await child.ended;
    expect(flock(second, 'exclusive')).toBe(true);
    closeSync(second);
  },
);

needs('/proc')('locking one descriptor twice succeeds, and one unlock frees it', () => {
  const [, first, second] = openTwice();
  expect(flock(first, 'exclusive')).toBe(true);
  expect(flock(first, 'exclusive')).toBe(true);
  flock(first, 'unlock');
  expect(flock(second, 'exclusive')).toBe(true);
  closeSync(first);
  closeSync(second);
});

needs('/proc')('a failed change from shared to exclusive loses the shared lock', () => {
  const [path, first, second] = openTwice();
  expect(flock(first, 'shared')).toBe(true);
  expect(flock(second, 'shared')).toBe(true);
  expect(flock(first, 'exclusive')).toBe(false);
  closeSync(second);
  const third = openSync(path, 'r+');
  expect(flock(third, 'exclusive')).toBe(true);
  closeSync(first);
  closeSync(third);
});

test('unlocking what is not locked is no error', () => {
  const [, first] = openTwice();
  expect(flock(first, 'unlock')).toBe(true);
  closeSync(first);
});
