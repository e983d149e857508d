// The same tests in Deno, which has Node-API and most of Node's modules.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { npmPackages } from './cache.mjs';
import { lane } from './report.mjs';
import { stage, stageFolder, vitest } from './stage.mjs';

const scripts = 'a program that is given by -e cannot be a module in Deno';
const clock = 'process.hrtime() starts anew in each process of Deno: holds cannot be compared';
const shell = 'Deno starts the program of the package with flags that these tests do not expect';
const context = 'a scope without a function of its own does not reach what runs later in Deno';

/** Files and tests that Deno 2.9 cannot pass, with what was seen. */
const without = {
  'test/cli-help.test.ts': shell,
  'test/cli-prune.test.ts': shell,
  'test/cli-run.test.ts': shell,
  'test/cli-status.test.ts': shell,
  'test/faults.test.ts': 'Deno does not start without descriptors or threads to spare',
  'test/guard-process.test.ts': 'Deno ends after an unhandled rejection in a way of its own',
  'test/inspect.test.ts': scripts,
  'test/keep-alive.test.ts': scripts,
  'test/many-writers.test.ts': 'fs.writeSync() of Deno appends although it is given a position',
  'test/named-holder.test.ts': scripts,
  'test/open-scope.test.ts': context,
  'test/record-failure.test.ts': 'Deno adds a flag of its own to a shell command that names it',
  'test/replaced-file.test.ts': clock,
  'test/scale.test.ts': 'Deno does not start with the limit of descriptors that it sets',
  'test/session-lock-legacy.test.ts': context,
  'test/session-lock-nesting.test.ts': context,
  'test/session-lock-story.test.ts': 'the story does not come to its end in Deno',
  'test/session-lock.test.ts': context,
  'test/signals.test.ts': 'Deno runs no signal handler while it is blocked, and ends instead',
  'test/soak.test.ts': clock,
  'test/worker-termination.test.ts': 'Deno takes longer to end a worker than this test allows',
  'test/workers.test.ts': scripts,
};
const lacking = {
  'no descriptor stays open': 'Deno opens descriptors of its own meanwhile',
  'any number of leases cost one thread, which ends after the last of them':
    'Deno starts threads of its own meanwhile',
};

await lane('deno', async () => {
  const modules = await npmPackages('@deno/linux-x64-glibc@2.9.6');
  const deno = join(modules, '@deno/linux-x64-glibc/deno');
  chmodSync(deno, 0o755);
  const folder = await stage(stageFolder('deno'), { binary: 'linux-x64.glibc' });
  return vitest(folder, [deno, 'run', '-A'], { lacking, minutes: 6, without });
});
