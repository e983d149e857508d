import { LockTimeoutError } from '../errors.js';
import type { FileLock } from '../file-lock.js';
import { lock, tryLock } from '../lock.js';
import type { Demand, Reply } from './contender.js';

const longestWaitMs = 10_000;
const lockPath = process.argv[2] as string;
let held: FileLock | null = null;

async function obey(demand: Demand): Promise<Reply> {
  try {
    if (demand.do === 'release') {
      held?.release();
      return { granted: false };
    }
    const { mode } = demand;
    held =
      demand.do === 'try'
        ? tryLock(lockPath, { lockPath, mode })
        : await lock(lockPath, { lockPath, mode, timeout: longestWaitMs });
    return { granted: held !== null };
  } catch (error) {
    if (error instanceof LockTimeoutError) return { granted: false };
    return { failure: (error as Error).message };
  }
}

process.on('message', async (demand: Demand) => process.send?.(await obey(demand)));
process.on('disconnect', () => process.exit());
