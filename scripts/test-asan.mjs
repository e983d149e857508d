// Runs the test suite with an addon under AddressSanitizer and UndefinedBehaviorSanitizer, in a copy,
// so that the ordinary build stays as it is: node scripts/test-asan.mjs [vitest arguments]
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';

const copied = ['binding.gyp', 'demo', 'dist', 'native', 'package.json', 'scripts', 'src', 'test'];
const copy = mkdtempSync(join(tmpdir(), 'holdfast-asan-'));

function run(command, args, env = {}) {
  const options = { cwd: copy, stdio: 'inherit', env: { ...process.env, ...env } };
  return spawnSync(command, args, options).status ?? 1;
}

/** Where the compiler keeps a run-time library; Node has to load it before everything else. */
function runtime(library) {
  return execFileSync('c++', [`-print-file-name=${library}`], { encoding: 'utf8' }).trim();
}

try {
  for (const path of [...copied, 'vitest.config.ts', 'tsconfig.json']) {
    cpSync(path, join(copy, path), { recursive: true });
  }
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'));
  const built = run(process.execPath, ['scripts/build-native.mjs', '--asan']);
  process.exitCode =
    built ||
    run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)], {
      LD_PRELOAD: [runtime('libasan.so'), runtime('libubsan.so')].join(' '),
      // V8 frees nothing when it ends, and compiles what no sanitizer sees.
      ASAN_OPTIONS: 'detect_leaks=0:halt_on_error=1:allow_user_segv_handler=1',
      UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
      HOLDFAST_TEST_SLOWNESS: '3',
    });
} finally {
  rmSync(copy, { recursive: true, force: true });
}
