import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { slowness } from './helpers/slowness.js';

const native = fileURLToPath(new URL('../native/', import.meta.url));
const harness = fileURLToPath(new URL('./fixtures/harness.cc', import.meta.url));

/** The sources of this system but those that need Node. */
function sources(): string[] {
  return readdirSync(native)
    .filter((name) => name.endsWith('.cc') && !/^binding|win|_none|_other|status_posix/.test(name))
    .map((name) => join(native, name));
}

function compile(sanitizer: string, folder: string) {
  const program = join(folder, 'harness');
  const flags = ['-std=c++17', '-g', '-O1', `-fsanitize=${sanitizer}`, `-I${native}`, '-pthread'];
  const result = spawnSync('c++', [...flags, harness, ...sources(), '-o', program, '-ldl']);
  return existsSync(program) ? program : { reason: String(result.stderr ?? result.error) };
}

// Node itself is not instrumented, so threads are raced without it.
needs('Linux').for(['thread', 'address,undefined'])(
  'waiter threads and the watchdog are clean under -fsanitize=%s',
  { timeout: 120_000 * slowness },
  (sanitizer, context) => {
    const folder = temporaryFolder();
    const program = compile(sanitizer, folder);
    if (typeof program !== 'string') {
      context.skip(`no compiler for -fsanitize=${sanitizer}: ${program.reason}`);
      return;
    }
    const { status, stdout, stderr } = spawnSync(program, [folder], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/ 0 failures$/m);
    expect(status).toBe(0);
  },
);
