import { expect, test } from 'vitest';
import { allQueues, linger, QueueNames, queueAt } from '../src/queue-names.js';
import type { WaitQueue } from '../src/wait-queue.js';

/** What stands for a queue here: nobody waits in it. */
function idleQueue(name: string): WaitQueue {
  const queue = { dropIfIdle: () => names.drop() } as WaitQueue;
  const names = new QueueNames(queue, name);
  names.addPath(`/${name}`);
  return queue;
}

test('a queue that became idle is found until another one does, so that they do not add up', () => {
  const [first, second] = [idleQueue('a'), idleQueue('b')];
  linger(first);
  linger(first);
  expect([...allQueues()]).toEqual([first, second]);
  linger(second);
  expect([...allQueues()]).toEqual([second]);
  expect([queueAt('/a'), queueAt('/b')]).toEqual([undefined, second]);
  linger();
  expect([...allQueues()]).toEqual([]);
});
