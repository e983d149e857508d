import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { cliPath, holdfast } from './helpers/cli.js';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

test('the package has the command', () => {
  expect(manifest.bin).toEqual({ holdfast: './dist/cli/main.js' });
  expect(readFileSync(cliPath, 'utf8').startsWith('#!/usr/bin/env node\n')).toBe(true);
});

test('holdfast --version prints the version of the package', async () => {
  expect((await holdfast('--version').ended).stdout).toBe(`${manifest.version}\n`);
});

describe.each(['run', 'status', 'prune', 'doctor'])('holdfast %s', (command) => {
  test('is in the help', async () => {
    expect((await holdfast('--help').ended).stdout).toMatch(new RegExp(`^  ${command} +\\w`, 'm'));
  });

  test.each(['--help', '-h'])('explains itself with %s', async (flag) => {
    const { code, stdout, stderr } = await holdfast(command, flag).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^usage: holdfast ${command} `));
    expect(stdout).toContain('Exit codes: ');
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });

  test('says in one line what it cannot use', async () => {
    const { code, stdout, stderr } = await holdfast(command, '--bogus').ended;
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(/^holdfast: Unknown option '--bogus': see --help\n$/);
  });
});

test('the help of a command shows each form, and the short name and the value of an option', async () => {
  const { stdout } = await holdfast('run', '--help').ended;
  expect(stdout).toMatch(/^usage: holdfast run .*\n {7}holdfast run /);
  expect(stdout).toMatch(/^ {2}-w, --wait SECONDS +fail /m);
  expect(stdout).toMatch(/^ {6}--inherit +COMMAND /m);
});

test('holdfast without a command, or with one that there is not, is wrong usage', async () => {
  for (const args of [[], ['bogus'], ['toString'], ['--bogus']]) {
    const { code, stdout, stderr } = await holdfast(...args).ended;
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(/^holdfast: [^\n]+see holdfast --help\n$/);
  }
});

needs('sh')('a reader that has seen enough is no error', async () => {
  const command = '("$0" "$1" status --help; echo "code $?" >&2) | true';
  const { stderr } = await start('sh', ['-c', command, process.execPath, cliPath]).ended;
  expect(stderr).toBe('code 0\n');
});

needs('sh', '/proc')('output that a full disk does not take is an error in one line', async () => {
  const command = '"$0" "$1" --help >/dev/full; echo "code $?" >&2';
  const { stderr } = await start('sh', ['-c', command, process.execPath, cliPath]).ended;
  expect(stderr).toMatch(/^holdfast: ENOSPC: [^\n]+\ncode 74\n$/);
});
