import { existsSync, rmSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { LockFile } from '../src/lock-file.js';
import { status } from '../src/native.js';
import { type LockRequest, toRequest } from '../src/options.js';
import { temporaryResource } from './helpers/folder.js';

// The addon is told a request once. What a call throws before it gets there must not count as told:
// the next call would lock what the addon was told before, which is another file.

const iterator = Array.prototype[Symbol.iterator];

afterEach(() => {
  Array.prototype[Symbol.iterator] = iterator;
});

/** Has `once` happen when the next list of arguments is spread. */
function atNextSpread(once: () => void): void {
  Array.prototype[Symbol.iterator] = function (this: unknown[]) {
    Array.prototype[Symbol.iterator] = iterator;
    once();
    return iterator.call(this);
  };
}

const calls: [string, (file: LockFile, request: LockRequest) => void][] = [
  ['tryAcquire', (file, request) => file.tryAcquire(request)],
  ['beginWait', (file, request) => file.beginWait(request, () => {})],
  ['beginRemote', (file, request) => file.beginRemote(request, true, () => {})],
  ['changeRequest', (file, request) => file.changeRequest(request)],
  ['handOver', (file, request) => file.handOver(request)],
];

/** The handle, in a state in which it was told of another request. */
function fileOf(other: LockRequest): LockFile {
  const file = LockFile.take();
  expect(file.tryAcquire(other)).toBe(status.done);
  return file;
}

function requestFor(label: string): LockRequest {
  return toRequest(temporaryResource(), { label });
}

function expectToLock(request: LockRequest): void {
  const file = LockFile.take();
  expect(file.tryAcquire(request)).toBe(status.done);
  expect(existsSync(request.lockPath)).toBe(true);
  file.unlock();
  file.letGo();
}

test.each(calls)('%s() has told nothing when it throws on the way', (_, call) => {
  const request = requestFor('wanted');
  const before = fileOf(requestFor('before'));
  atNextSpread(() => {
    throw new RangeError('Maximum call stack size exceeded');
  });
  expect(() => call(before, request)).toThrow(RangeError);
  before.unlock();
  expectToLock(request);
  before.letGo();
});

test('what is told while another request is on the way is told before that', () => {
  const request = requestFor('in between');
  const file = LockFile.take();
  atNextSpread(() => expectToLock(request));
  expect(file.tryAcquire(requestFor('around'))).toBe(status.done);
  expectToLock(request);
  file.unlock();
  file.letGo();
});

// A script of node:vm is ended by its timeout wherever it is, and what called it goes on.
test.each(calls)('%s() leaves nothing told when it is cut short once it has told', (_, call) => {
  const other = requestFor('before');
  const before = fileOf(other);
  before.unlock();
  const request = Object.defineProperty({ ...requestFor('wanted') }, 'signal', {
    get() {
      throw new Error('Script execution timed out');
    },
  });
  expect(() => call(before, request)).toThrow('timed out');
  before.revoke();
  before.letGo();
  rmSync(other.lockPath, { force: true });
  expectToLock(other);
});
