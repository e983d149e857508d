import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from 'holdfast';
import { expect } from 'vitest';
import { cliPath, holdfastWith } from './helpers/cli.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

needs('sh').each([
  ['status', 600, 400, /^LOCK FILE .*\n(?:.* free .*\n){600}$/],
  ['prune', 300, 200, /\nremoved 300\n$/],
] as const)(
  'holdfast %s of %i lock files has fewer than %i files open at a time',
  async (command, files, limit, says) => {
    const folder = temporaryFolder();
    for (let i = 0; i < files; i += 1) writeFileSync(join(folder, `${i}.flock`), '');
    const limited = ['-c', `ulimit -n ${limit}; exec "$0" "$@"`, process.execPath, cliPath];
    const { code, stdout } = await start('sh', [...limited, command, folder]).ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(says);
  },
);

const deletesWhatItLists = `
  const { promises, rmSync } = process.getBuiltinModule('node:fs');
  const { readdir } = promises;
  promises.readdir = async (path, options) => {
    const entries = await readdir(path, options);
    for (const { name } of entries) rmSync(path + '/' + name, { recursive: true });
    return entries;
  };
  process.getBuiltinModule('node:module').syncBuiltinESMExports();
`;

needs('built-in modules that can be patched', 'POSIX signals').each([
  ['status', /^LOCK FILE .*\n.*a\.flock +missing .*\n$/],
  ['prune', /^removed 0\n$/],
])(
  'for holdfast %s what is deleted right after it was listed is not there',
  async (command, says) => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'sub'));
    tryLock(join(folder, 'a'))?.release();
    const preload = `--import=data:text/javascript,${encodeURIComponent(deletesWhatItLists)}`;
    const options = { env: { ...process.env, NODE_OPTIONS: preload } };
    const { code, stdout, stderr } = await holdfastWith(options, command, folder).ended;
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: expect.stringMatching(says),
      stderr: '',
    });
    expect(readdirSync(folder)).toEqual([]);
  },
);
