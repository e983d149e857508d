// Fails when a C++ file is not as clang-format would have it, and names it.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const clangFormat = createRequire(import.meta.url).resolve('clang-format/index.js');
const files = readdirSync('native')
  .filter((name) => /\.(h|cc)$/.test(name))
  .map((name) => `native/${name}`);
const wrong = files.filter(
  (file) =>
    execFileSync(process.execPath, [clangFormat, '--style=file', file]).toString() !==
    readFileSync(file, 'utf8'),
);
for (const file of wrong) console.error(`${file} is not formatted: run npm run format`);
process.exitCode = wrong.length > 0 ? 1 : 0;
