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

function paint({ text, style }: Cell, colours: boolean): string {
  return colours && style !== undefined ? styleText(style, text) : text;
}

/** Lines for stdout of a table with aligned columns, none longer than `columns`. */
export function tableOf(rows: Cell[][], columns = Number.POSITIVE_INFINITY): string[] {
  const colours = process.stdout.isTTY === true && process.stdout.hasColors();
  const cells = rows.map((row) =>
    row.map(({ text, ...rest }) => ({ ...rest, text: printable(text) })),
  );
  const widths: number[] = [];
  for (const row of cells) {
    for (const [i, { text }] of row.entries())
      widths[i] = Math.max(widths[i] ?? 0, columnsOf(text));
  }
  return cells.map((row) => {
    let line = '';
    let left = columns;
    for (const [i, cell] of row.entries()) {
      if (left <= 0) break;
      const text = clip(cell.text, left);
      const width = columnsOf(text);
      const gap = (widths[i] as number) - width + 2;
      line += paint({ ...cell, text }, colours) + ' '.repeat(gap);
      left -= width + gap;
    }
    return line.trimEnd();
  });
}
