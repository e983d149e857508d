// The C programs of native/, compiled on the spot with the machine's own compiler.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runProgram } from './children.mjs';

const folder = (/** @type {string} */ name) =>
  fileURLToPath(new URL(`../${name}`, import.meta.url));

/** @typedef {{ floor: string, handover: string, contender: string }} Programs */

/** @returns {Promise<Programs>} */
export async function compilePrograms() {
  mkdirSync(folder('build'), { recursive: true });
  const compile = async (/** @type {string} */ name) => {
    const program = folder(`build/${name}`);
    await runProgram(
      'cc',
      ['-O2', '-Wall', '-Wextra', '-o', program, folder(`native/${name}.c`)],
      60_000,
    );
    return program;
  };
  return {
    floor: await compile('floor'),
    handover: await compile('handover'),
    contender: await compile('contender'),
  };
}
