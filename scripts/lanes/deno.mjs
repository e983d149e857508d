// The same tests in Deno, which has Node-API and most of Node's modules.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { npmPackages } from './cache.mjs';
import { lane } from './report.mjs';
import { stage, stageFolder, vitest } from './stage.mjs';

const flags = 'Deno needs flags of its own before a program that a shell starts';
const limits = 'Deno does not start with so few descriptors';
const signals = 'Deno runs no signal handler while it is blocked, and ends instead';
const workers = 'a worker that is blocked in native code was not ended by Deno in each run';
const stopped = 'Deno hangs once a child of it was stopped';
const folders = "Deno's unlink removes an empty folder, which Node's refuses";
const others = 'Deno opens descriptors and starts threads of its own meanwhile';

/** Tests and files that Deno 2.9 cannot pass although it has what they need, with what was seen. */
const lacking = {
  'a reader that has seen enough is no error': flags,
  'output that a full disk does not take is an error in one line':
    'Deno ends by itself when its output cannot be written',
  '71 when there are no descriptors left to start the command with':
    'Deno panics where it has no descriptors left',
  'a command that became another user runs on, under its lock':
    'Deno does not say that a signal could not be sent',
  'holdfast doctor says that it can start no process':
    'Deno panics where it has no descriptors left',
  'holdfast run locks a file on a read-only file system':
    'Deno says that a file on a read-only file system may be written',
  'Ctrl-C reaches the command once': flags,
  'nor more often where only its standard': flags,
  'holdfast status --watch redraws on a screen of its own until Ctrl-C': flags,
  'holdfast status --watch keeps to the size of the terminal': flags,
  'holdfast status --watch shows who holds a long name, and the end of it': flags,
  'holdfast status --watch gives the screen back while it is stopped': flags,
  'holdfast run passes arguments as they are, with or without the two dashes': flags,
  'is refused instead of meaning another name': flags,
  'the exit code stands where nothing can be said': flags,
  'holdfast run takes the character that stands for what is not UTF-8 like every other': flags,
  'a process waits on although what it was told of an earlier lock was ended by a debugger':
    'Deno ended with code 1 when its debugger ended what ran',
  'no descriptor left is EMFILE, and nothing is lost': limits,
  'one process holds 10,000 locks at once and lets all of them go': limits,
  'holdfast run passes signals on and waits for the command': signals,
  'a lease is renewed while holdfast run lives, and lost when it hangs': signals,
  'signals do not cut a wait of lockSync short': signals,
  'a signal handler of the program still runs while it waits': signals,
  'a stopped process keeps its lock past its lease, until it goes on': stopped,
  'delete() tells whether there was a file': folders,
  'a leftover that cannot be removed fails the update: its writer may live': folders,
  'no descriptor stays open': others,
  'a lock that cannot be handed on in another mode leaves no descriptor': others,
  'a writer that gave up by the end of its worker keeps no reader out': workers,
  'a worker that blocks in lockSync can be terminated, and takes no lock': workers,
  'the leases of 100000 locks cost one thread, which ends after the last of them': others,
};
const without = {
  'test/process-exit.test.ts':
    'Deno throws at whoever forked a process that ends before it is told to',
  'test/stopped-waiter.test.ts': stopped,
  'test/stuck-waits.test.ts':
    'Deno does not tell a worker, or what waits for a collection, that the event loop has run empty',
  'test/thread-model.test.ts': workers,
};

await lane('deno', async () => {
  const modules = await npmPackages('@deno/linux-x64-glibc@2.9.6');
  const deno = join(modules, '@deno/linux-x64-glibc/deno');
  chmodSync(deno, 0o755);
  const folder = await stage(stageFolder('deno'), { binary: 'linux-x64.glibc' });
  return vitest(folder, [deno, 'run', '-A'], { lacking, minutes: 14, without });
});
