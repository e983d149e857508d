import { setTimeout as sleep } from 'node:timers/promises';

const busyOnWindows = new Set(['EPERM', 'EBUSY', 'EACCES']);
const patienceMs = 1_000;

/** Tries again for a short while what Windows refuses because somebody has the file open. */
export async function retryBusy<T>(
  attempt: () => T | Promise<T>,
  platform = process.platform,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (let pause = 1; ; pause = Math.min(2 * pause, 50)) {
    try {
      return await attempt();
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      const passing = platform === 'win32' && busyOnWindows.has(code);
      if (!passing || performance.now() >= deadline) throw error;
    }
    await sleep(pause);
  }
}
