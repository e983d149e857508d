import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { slowness } from './helpers/slowness.js';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Example {
  /** File and line that it starts at. */
  place: string;
  code: string;
}

/** The TypeScript blocks of a Markdown file, or of the docstrings of a source file. */
function examplesIn(file: string): Example[] {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  const examples: Example[] = [];
  let code: string[] | undefined;
  for (const [index, line] of lines.entries()) {
    const text = file.endsWith('.ts') ? line.replace(/^\s*\* ?/, '') : line;
    if (code === undefined) {
      if (/^```(?:ts|typescript|js|mjs)\b/.test(text)) code = [];
    } else if (text.startsWith('```')) {
      examples.push({ place: `${file}:${index - code.length}`, code: code.join('\n') });
      code = undefined;
    } else {
      code.push(text);
    }
  }
  return examples;
}

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => join('src', file));

test('each public function has an example in its documentation', () => {
  const entries = ['src/index.ts', 'src/json-store/index.ts', 'src/session-lock/index.ts'];
  const index = entries.map((entry) => readFileSync(join(root, entry), 'utf8')).join('\n');
  const found: string[] = [];
  for (const file of sources) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const { 1: name, index: at } of text.matchAll(/^export (?:async )?function (\w+)/gm)) {
      if (!new RegExp(`\\b${name}\\b`).test(index) || found.includes(name as string)) continue;
      found.push(name as string);
      const documentation = text.slice(Math.max(0, text.lastIndexOf('\n}\n', at)), at);
      expect(documentation, name).toMatch(/@example \S.*\n \* ```ts\n/);
    }
  }
  expect(found).toContain('withLock');
});

test(
  'the examples in the documentation type-check as a user would compile them',
  () => {
    const pages = ['README.md', 'docs/json-store.md', 'docs/session-lock.md'];
    const examples = [...sources, ...pages].flatMap(examplesIn);
    expect(examples.length).toBeGreaterThan(10);

    // The package as it is installed: found through its "exports", with their types.
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(root, join(folder, 'node_modules', 'holdfast'), 'junction');
    symlinkSync(
      join(root, 'node_modules', '@types'),
      join(folder, 'node_modules', '@types'),
      'junction',
    );
    for (const [index, { place, code }] of examples.entries()) {
      writeFileSync(join(folder, `example-${index}.mts`), `// ${place}\n${code}\nexport {};\n`);
    }
    const compilerOptions = {
      target: 'ES2022',
      module: 'NodeNext',
      lib: ['ES2023', 'ESNext.Disposable'],
      types: ['node'],
      strict: true,
      noEmit: true,
      skipLibCheck: true,
    };
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, include: ['*.mts'] }),
    );

    const manifest = createRequire(import.meta.url).resolve('typescript/package.json');
    const { stdout, status } = spawnSync(
      process.execPath,
      [join(dirname(manifest), 'bin', 'tsc'), '-p', folder],
      { cwd: folder, encoding: 'utf8' },
    );
    const complaints = stdout.replaceAll(/example-(\d+)\.mts/g, (_, index: string) => {
      return examples[Number(index)]?.place ?? index;
    });
    expect(complaints).toBe('');
    expect(status).toBe(0);
  },
  60_000 * slowness,
);
