import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { slowness } from './helpers/slowness.js';

const native = fileURLToPath(new URL('../native/', import.meta.url));
const races = ['harness.cc', 'harness_records.cc'].map((name) =>
  fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url)),
);

/** The sources of this system but those that need Node. */
function sources(): string[] {
  return readdirSync(native)
    .filter((name) => name.endsWith('.cc') && !/^binding|win|_none|_other|status_posix/.test(name))
    .map((name) => join(native, name));
}

function compile(sanitizer: string, sourceFiles: string[], program: string): string {
  const flags = ['-std=c++17', '-g', '-O1', `-fsanitize=${sanitizer}`, `-I${native}`, '-pthread'];
  const { error, stderr } = spawnSync('c++', [...flags, ...sourceFiles, '-o', program, '-ldl']);
  return error?.message ?? String(stderr);
}

/** Whether this machine has it, told by a program that is not ours: ours must compile then. */
function isThere(sanitizer: string, folder: string): boolean {
  const source = join(folder, 'empty.cc');
  const program = join(folder, 'empty');
  writeFileSync(source, 'int main() { return 0; }');
  compile(sanitizer, [source], program);
  return spawnSync(program).status === 0;
}

// Node itself is not instrumented, so threads are raced without it.
needs('Linux').for(['thread', 'address,undefined'])(
  'waiter threads and the watchdog are clean under -fsanitize=%s',
  { timeout: 120_000 * slowness },
  (sanitizer, context) => {
    const folder = temporaryFolder();
    context.skip(!isThere(sanitizer, folder), `there is no -fsanitize=${sanitizer} here`);
    const program = join(folder, 'harness');
    expect(compile(sanitizer, [...races, ...sources()], program)).toBe('');
    const { status, stdout, stderr } = spawnSync(program, [folder], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/ 0 failures$/m);
    expect(status).toBe(0);
  },
);
