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
