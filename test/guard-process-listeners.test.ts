import { guardProcess } from 'holdfast';
import { expect, test } from 'vitest';

test.each([-1, Number.NaN, '1000', null])('guardProcess() refuses a grace of %s', (grace) => {
  const listeners = process.listenerCount('uncaughtExceptionMonitor');
  expect(() => guardProcess({ grace: grace as number })).toThrow(
    expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }),
  );
  expect(process.listenerCount('uncaughtExceptionMonitor')).toBe(listeners);
});

test.each([null, 500])('guardProcess() refuses %s in place of its options', (options) => {
  expect(() => guardProcess(options as unknown as object)).toThrow(
    expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }),
  );
});

test('guardProcess() returns a function that leaves no listener behind', () => {
  const counts = () =>
    ['unhandledRejection', 'uncaughtExceptionMonitor', 'newListener', 'removeListener'].map(
      (event) => process.listenerCount(event),
    );
  const before = counts();
  const undo = guardProcess();
  expect(counts()).not.toEqual(before);
  undo();
  expect(counts()).toEqual(before);
});

test('guardProcess() leaves no listener behind when it is undone just after somebody added one', async () => {
  const count = () => process.listenerCount('unhandledRejection');
  const before = count();
  const undo = guardProcess();
  const handler = () => {};
  process.on('unhandledRejection', handler);
  undo();
  await null;
  process.off('unhandledRejection', handler);
  expect(count()).toBe(before);
});
