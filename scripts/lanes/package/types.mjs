// Compiles users' modules against the installed package, without skipping its declarations.
import { cpSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { npmPackages } from '../cache.mjs';
import { run } from '../run.mjs';

// Ours, and the last one that is written in JavaScript.
const compilers = ['', 'typescript@5.9.3'];

const resolutions = {
  nodenext: { module: 'nodenext', files: ['module.mts', 'common.cts'] },
  bundler: { module: 'preserve', files: ['module.mts'] },
};

async function compilerIn(packageName) {
  if (packageName === '') return createRequire(import.meta.url).resolve('typescript/package.json');
  return join(await npmPackages(packageName), 'typescript', 'package.json');
}

/** Compiles in a folder that has the package and @types/node; `check` counts each combination. */
export async function compileTypes(folder, check) {
  const here = import.meta.dirname;
  for (const file of ['module.mts', 'common.cts']) cpSync(join(here, file), join(folder, file));
  for (const name of compilers) {
    const manifest = await compilerIn(name);
    const { version } = createRequire(import.meta.url)(manifest);
    for (const [moduleResolution, { module, files }] of Object.entries(resolutions)) {
      const config = join(folder, `tsconfig.${moduleResolution}.json`);
      const compilerOptions = {
        ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
        ...{ noEmit: true, types: ['node'] },
        ...{ target: 'es2022', lib: ['es2020', 'esnext.disposable'], module, moduleResolution },
      };
      writeFileSync(config, JSON.stringify({ compilerOptions, files }));
      await check(`types under ${moduleResolution}, TypeScript ${version}`, () =>
        run(process.execPath, [join(dirname(manifest), 'bin', 'tsc'), '-p', config], {
          quiet: true,
        }),
      );
    }
  }
}
