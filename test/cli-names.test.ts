import { readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cliPath, holdfast } from './helpers/cli.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

/** Runs a line of the shell, in which `holdfast` is the command and `$name` is not UTF-8. */
async function shell(cwd: string, line: string) {
  const script = `name=$(printf 'a\\377'); holdfast() { "$node" "$cli" "$@"; }; ${line}`;
  const env = { ...process.env, node: process.execPath, cli: cliPath };
  return start('sh', ['-c', script], { cwd, env }).ended;
}

const withBytes = needs('/proc', 'sh');

withBytes.each(['run "$name" -- echo ran', 'run lock -- echo ran "$name"', 'status "$name"'])(
  'holdfast %s is refused instead of meaning another name',
  async (line) => {
    const cwd = temporaryFolder();
    const { code, stdout, stderr } = await shell(cwd, `holdfast ${line}`);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(/^holdfast: an argument is not UTF-8[^\n]*\n$/);
    expect(readdirSync(cwd)).toEqual([]);
  },
);

test('holdfast status lists a lock file with the character that stands for what is not UTF-8', async () => {
  const cwd = temporaryFolder();
  writeFileSync(`${cwd}/\ufffd.flock`, '');
  const { code, stdout } = await holdfast('status', '--json', cwd).ended;
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject([{ state: 'free' }]);
});

test('holdfast run takes the character that stands for what is not UTF-8 like every other', async () => {
  const lock = `${temporaryFolder()}/\ufffd`;
  const echo = ['--', process.execPath, '-e', 'console.log(process.argv[1])', '\ufffd'];
  const { code, stdout } = await holdfast('run', lock, ...echo).ended;
  expect({ code, stdout }).toEqual({ code: 0, stdout: '\ufffd\n' });
});

withBytes(
  'lock files and folders whose names are not UTF-8 are errors of status and prune',
  async () => {
    const cwd = temporaryFolder();
    await shell(cwd, 'mkdir "$name"; touch "$name.flock" "$name.txt" "$name/b.flock"');
    const { code, stdout } = await holdfast('status', '--json', cwd).ended;
    expect(code).toBe(74);
    const rows = JSON.parse(stdout) as { state: string; error: string }[];
    expect(rows.map(({ state }) => state)).toEqual(['error', 'error']);
    for (const { error } of rows) expect(error).toMatch(/its name is not UTF-8$/);
    const pruned = await holdfast('prune', cwd).ended;
    expect(pruned).toMatchObject({ code: 74, stdout: 'removed 0\n' });
    expect(pruned.stderr).toMatch(/^(holdfast: [^\n]+ its name is not UTF-8\n){2}$/);
  },
);
