import { styleText } from 'node:util';
import { printable } from '../printable.js';

/** The part of `styleText`'s formats that is used here. */
export type Style = 'red' | 'yellow' | 'cyan' | 'green' | 'dim' | 'bold';

/** Text in a table; what comes from elsewhere is made fit for a terminal. */
export interface Cell {
  text: string;
  style?: Style;
}

// Marks take no column; most of East Asia's letters and the emoji take two.
const zeroWidth = /\p{M}/u;
const doubleWidth =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

function widthOf(character: string): number {
  return zeroWidth.test(character) ? 0 : doubleWidth.test(character) ? 2 : 1;
}

function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += widthOf(character);
  return columns;
}

// With an ellipsis where something is missing.
function clip(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let kept = '';
  let used = 1;
  for (const character of text) {
    used += widthOf(character);
    if (used > columns) break;
    kept += character;
  }
  return `${kept}…`;
}

// The end of it, where names differ that are long.
function clipStart(text: string, columns: number): string {
  let left = columnsOf(text);
  if (left <= columns) return text;
  const characters = Array.from(text);
  let cut = 0;
  for (; left >= columns && cut < characters.length; cut += 1)
    left -= widthOf(characters[cut] as string);
  return `…${characters.slice(cut).join('')}`;
}

// Not of the last cell of a row: nothing has to be aligned behind it, a long one least of all.
function widthsOf(rows: Cell[][]): number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, { text }] of row.slice(0, -1).entries())
      widths[i] = Math.max(widths[i] ?? 0, columnsOf(text));
  }
  return widths;
}

const gapColumns = 2;
const leastOfName = 20;

function paint({ text, style }: Cell, colours: boolean): string {
  return colours && style !== undefined ? styleText(style, text) : text;
}

/**
 * Lines for stdout of a table with aligned columns, none longer than `columns`. What does not fit is
 * taken from the first column, the names, before the others lose their ends.
 */
export function tableOf(rows: Cell[][], columns = Number.POSITIVE_INFINITY): string[] {
  const colours = process.stdout.isTTY === true && process.stdout.hasColors();
  const whole = rows.map((row) =>
    row.map(({ text, ...rest }) => ({ ...rest, text: printable(text) })),
  );
  const others = widthsOf(whole).slice(1);
  const room = others.reduce((left, width) => left - width - gapColumns, columns - gapColumns);
  const named = (name: Cell) => clipStart(name.text, Math.max(leastOfName, room));
  const cells = whole.map((row) =>
    row.map((cell, i) => (i === 0 ? { ...cell, text: named(cell) } : cell)),
  );
  const widths = widthsOf(cells);
  return cells.map((row) => {
    let line = '';
    let left = columns;
    for (const [i, cell] of row.entries()) {
      if (left <= 0) break;
      const text = clip(cell.text, left);
      const width = columnsOf(text);
      // Too many spaces are trimmed below.
      const gap = i === row.length - 1 ? 0 : (widths[i] as number) - width + gapColumns;
      line += paint({ ...cell, text }, colours) + ' '.repeat(gap);
      left -= width + gap;
    }
    return line.trimEnd();
  });
}
