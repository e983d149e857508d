// The same tests in Bun, which has Node-API and most of Node's modules.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { npmPackages } from './cache.mjs';
import { lane } from './report.mjs';
import { stage, stageFolder, vitest } from './stage.mjs';

const threads = 'Bun starts and ends threads of its own meanwhile';
const patches = 'Bun did not call what node:fs was patched with after it was imported';
const preloads = 'Bun did not load what NODE_OPTIONS says';

/** Tests that Bun 1.4 cannot pass although it has what they need, with what was seen. */
const lacking = {
  'a lock that was leaked is freed for the last task that waits, not called a deadlock':
    'Bun did not collect what was dropped in one of five runs',
  'a hundred waits that were given up leave one thread behind': threads,
  'the leases of 100000 locks cost one thread, which ends after the last of them': threads,
  'the thread in which lock waits has every signal blocked, and only that one': threads,
  'the thread in which lockSync waits has every signal blocked, and only that one': threads,
  'a process that ends by running out of memory frees its lock':
    'Bun has no limit of memory to run into',
  'a file that cannot be created is an error at once': patches,
  'a file that cannot be read is not taken for an orphan': patches,
  'a file that cannot be read for a while is kept and removed after that': patches,
  'a file that cannot be taken away from a dead process is an error at once': patches,
  'a file that cannot be written is not left empty': patches,
  'a file that was taken over and cannot be removed for a while goes later': patches,
  'a timeout is told although the file that names the holder cannot be opened': patches,
  'a writer whose lease ends while it gives up is told that, not what came of it': patches,
  'holdfast run --inherit fails when it cannot tell which file it has locked': preloads,
  'holdfast doctor says that a process which was to try has ended': preloads,
  'what is deleted right after it was listed is not there': preloads,
  'holdfast run passes arguments as they are, with or without the two dashes':
    'Bun takes the two dashes for its own',
};

const without = { 'test/json-store-refusals.test.ts': patches };

await lane('bun', async () => {
  const bun = join(await npmPackages('@oven/bun-linux-x64@1.4.5'), '@oven/bun-linux-x64/bin/bun');
  chmodSync(bun, 0o755);
  const folder = await stage(stageFolder('bun'), { binary: 'linux-x64.glibc' });
  return vitest(folder, [bun, '--bun'], { lacking, minutes: 14, without });
});
