import { expect, test } from 'vitest';
import { retryBusy } from '../src/json-store/retry-busy.js';

function failing(times: number, code: string) {
  let calls = 0;
  return () => {
    calls += 1;
    if (calls <= times) throw Object.assign(new Error(code), { code });
    return calls;
  };
}

test('what Windows refuses while somebody has the file open is tried again', async () => {
  for (const code of ['EPERM', 'EBUSY', 'EACCES']) {
    const publish = failing(3, code);
    await retryBusy(publish, 'win32');
    expect(publish()).toBe(5);
  }
});

test('what stays refused on Windows is given up within about a second', async () => {
  const before = performance.now();
  const publish = failing(Number.POSITIVE_INFINITY, 'EPERM');
  await expect(retryBusy(publish, 'win32')).rejects.toMatchObject({ code: 'EPERM' });
  expect(performance.now() - before).toBeGreaterThan(900);
});

test('other errors, and all of other systems, are final', async () => {
  await expect(retryBusy(failing(1, 'ENOSPC'), 'win32')).rejects.toMatchObject({ code: 'ENOSPC' });
  await expect(retryBusy(failing(1, 'EACCES'), 'linux')).rejects.toMatchObject({ code: 'EACCES' });
});
