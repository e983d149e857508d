import { expect, test } from 'vitest';
import { tableOf } from '../src/cli/table.js';

const rows = (...texts: string[][]) => texts.map((row) => row.map((text) => ({ text })));

test('the columns of a table are as wide as the widest text in them, and lines end without spaces', () => {
  expect(tableOf(rows(['a', 'b', 'c'], ['long', '', 'last one'], ['x', 'y', '']))).toEqual([
    'a     b  c',
    'long     last one',
    'x     y',
  ]);
});

test('a letter of two columns counts as two, a mark as none', () => {
  expect(tableOf(rows(['漢字', '|'], ['😀', '|'], ['e\u0301', '|'], ['four', '|']))).toEqual([
    '漢字  |',
    '😀    |',
    'e\u0301     |',
    'four  |',
  ]);
});

test.each([
  [12, ['abcd  漢字漢', 'x     y']],
  [11, ['abcd  漢字…', 'x     y']],
  [10, ['abcd  漢…', 'x     y']],
  [7, ['abcd  …', 'x     y']],
  [6, ['abcd', 'x']],
  [3, ['ab…', 'x']],
])('no line of a table is longer than %i columns', (columns, lines) => {
  expect(tableOf(rows(['abcd', '漢字漢'], ['x', 'y']), columns)).toEqual(lines);
});
