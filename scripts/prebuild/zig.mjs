// The cross compiler: clang with the C and C++ libraries of every target, as one Python package.
import { join } from 'node:path';
import { cache, pythonPackages } from '../lanes/cache.mjs';
import { run } from '../lanes/run.mjs';

const version = '0.17.1';

export async function zigEnvironment() {
  return {
    ...(await pythonPackages(`ziglang==${version}`)),
    ZIG_GLOBAL_CACHE_DIR: join(cache, 'zig'),
    ZIG_LOCAL_CACHE_DIR: join(cache, 'zig-local'),
  };
}

export async function zig(args) {
  const env = await zigEnvironment();
  return run('python3', ['-m', 'ziglang', ...args], { env, quiet: true });
}
