import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { moduleCommand, start } from './helpers/program.js';

const root = fileURLToPath(new URL('..', import.meta.url));

async function failureOf(entry: string, ...flags: string[]): Promise<string> {
  const source = `import(${JSON.stringify(pathToFileURL(entry).href)}).catch(({ message }) => console.log(message))`;
  const [command, ...args] = moduleCommand(source);
  return (await start(command, [...flags, ...args]).ended).stdout;
}

needs('a flag that refuses addons')(
  'a process that may load no addons is told which flags say so',
  async () => {
    const message = await failureOf(join(root, 'dist', 'index.js'), '--no-addons');
    expect(message).toContain('leave --no-addons out, or add --allow-addons to --permission');
  },
);

needs('symbolic links')(
  'inside a bundle of CommonJS, where no module knows its place, it says to be left out',
  async () => {
    const folder = temporaryFolder();
    cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
    const bundled = join(folder, 'dist', 'core.js');
    writeFileSync(bundled, readFileSync(bundled, 'utf8').replaceAll('import.meta', '({})'));
    expect(await failureOf(join(folder, 'dist', 'index.js'))).toContain('declare it external');
  },
);

test('taken elsewhere by a bundler, away from its dependency, it says to be left out', async () => {
  const folder = temporaryFolder();
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  expect(await failureOf(join(folder, 'dist', 'index.js'))).toMatch(/declare \w+ external/);
});

// They copy the file, and end with an error of their own where it is not there, as it is in the package.
test('nothing in the code is an asset for a bundler', () => {
  const bundled = readFileSync(join(root, 'dist', 'core.js'), 'utf8');
  expect(bundled).toContain('import.meta.url');
  expect(bundled).not.toMatch(/new URL\([^()]*import\.meta\.url/);
});

// Bundlers that make CommonJS may put their own require where import.meta.url was.
test('inside a bundle whose place is asked from require, it says to be left out', async () => {
  const folder = temporaryFolder();
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const bundled = join(folder, 'dist', 'core.js');
  const place = `require('node:url').pathToFileURL(${JSON.stringify(bundled)}).href`;
  const code = readFileSync(bundled, 'utf8').replaceAll('import.meta.url', place);
  writeFileSync(
    bundled,
    `import { createRequire as from } from 'node:module';\nconst require = from(import.meta.url);\n${code}`,
  );
  expect(await failureOf(join(folder, 'dist', 'index.js'))).toMatch(/declare \w+ external/);
});
