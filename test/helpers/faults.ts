import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const source = fileURLToPath(new URL('../fixtures/faults.c', import.meta.url));
let folder: string | undefined;
let library: string | null | undefined;

// Not when the process exits: the test runner ends its own by a signal.
afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

const faultyScript = `
  process.env.FAULT_STATFS = '0x6969';
  console.log(process.getBuiltinModule('node:fs').statfsSync('.').type === 0x6969);
`;

function compile(): string | null {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-faults-'));
  const out = join(folder, 'faults.so');
  const options = ['-shared', '-fPIC', '-O1', '-Wall', '-Werror'];
  return spawnSync('cc', [...options, '-o', out, source, '-ldl']).status === 0 ? out : null;
}

/**
 * Whether a library that is loaded first can get between the addon and the system's calls, and is
 * told what to do by variables that a process sets for itself.
 */
export function faultsWork(): boolean {
  library ??= compile();
  if (library === null) return false;
  const { stdout } = spawnSync(process.execPath, ['-e', faultyScript], {
    env: { ...process.env, ...faults },
    encoding: 'utf8',
  });
  return stdout?.trim() === 'true';
}

/**
 * The environment of an actor in which system calls can be made to fail. Which ones, the actor says
 * by setting variables of its own (test/fixtures/faults.c): Node passes those on to the C library.
 */
export const faults = {
  get LD_PRELOAD(): string {
    library ??= compile();
    return library ?? '';
  },
};
