import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lock } from 'holdfast';
import { expect, test } from 'vitest';
import { holdfast, Terminal } from './helpers/cli.js';
import { temporaryFolder } from './helpers/folder.js';
import { needs } from './helpers/needs.js';

test('holdfast status refuses --watch without a terminal, and --watch with --json', async () => {
  for (const flags of [['--watch'], ['--watch', '--json']]) {
    const { code, stderr } = await holdfast('status', ...flags).ended;
    expect(code).toBe(64);
    expect(stderr).toMatch(/^holdfast: --watch [^\n]+\n$/);
  }
});

needs('tmux')('holdfast status --watch redraws on a screen of its own until Ctrl-C', async () => {
  const folder = temporaryFolder();
  const held = await lock(join(folder, 'a'), { label: 'first label' });
  const terminal = new Terminal(folder);
  terminal.run('status', '--watch');
  await terminal.shows(/a\.flock +exclusive .*first label/);
  expect(terminal.alternate).toBe(true);
  expect(terminal.screen).toMatch(/^1 of 1 held/);
  expect(terminal.colouredScreen).toContain('\x1b[33mexclusive');
  held.release();
  await terminal.shows(/a\.flock +free/);
  expect(terminal.screen).not.toContain('first label');
  using _ = await lock(join(folder, 'b'), { label: 'second label' });
  await terminal.shows(/b\.flock +exclusive .*second label/);
  terminal.press('C-c');
  await terminal.shows(/\$|#/);
  while (terminal.alternate) await new Promise((resolve) => setImmediate(resolve));
  expect(terminal.screen).not.toContain('second label');
});

needs('tmux')('holdfast status --watch keeps to the size of the terminal', async () => {
  const folder = temporaryFolder();
  for (let i = 10; i < 50; i += 1) writeFileSync(join(folder, `${i}.flock`), '');
  using _ = await lock(join(folder, 'z'), { label: '漢字のラベル'.repeat(10) });
  const terminal = new Terminal(folder, 100, 10);
  terminal.run('status', '--watch');
  await terminal.shows(/z\.flock +exclusive/);
  expect(terminal.screen).toMatch(/^1 of 41 held, 34 more below/);
  terminal.resize(60, 20);
  await terminal.shows(/^1 of 41 held, 24 more below/);
  // One line each: nothing was wrapped.
  const lines = terminal.screen.split('\n').filter((line) => line.includes('.flock'));
  expect(lines.length).toBe(17);
  terminal.press('C-c');
});

needs('tmux')(
  'holdfast status --watch shows who holds a long name, and the end of it',
  async () => {
    const folder = temporaryFolder();
    const name = `${'long'.repeat(30)}-end`;
    using _ = await lock(join(folder, name), { label: 'label' });
    const terminal = new Terminal(folder, 80, 10);
    terminal.run('status', '--watch');
    await terminal.shows(
      new RegExp(`^…\\w+-end\\.flock +exclusive +${process.pid} +\\S+ +label `, 'm'),
    );
    terminal.press('C-c');
  },
);

needs('tmux')('holdfast status --watch gives the screen back while it is stopped', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'a.flock'), '');
  const terminal = new Terminal(folder);
  terminal.run('status', '--watch');
  await terminal.shows(/a\.flock +free/);
  terminal.press('C-z');
  await terminal.shows(/Stopped/);
  expect(terminal).toMatchObject({ alternate: false, cursor: true });
  terminal.type('fg');
  await terminal.shows(/a\.flock +free/);
  expect(terminal).toMatchObject({ alternate: true, cursor: false });
  terminal.press('C-c');
});
