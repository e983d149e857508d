import { isUtf8 } from 'node:buffer';
import { JsonFileError, withoutJson } from './errors.js';

const space = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const word = /true|false|null/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** Finds where JSON text goes wrong; V8 says that only in some messages, which change. */
class Scanner {
  readonly #text: string;
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Whether a value begins here; `at` is behind it, or where it goes wrong. */
  value(): boolean {
    this.skip(space);
    const next = this.#text[this.at];
    if (next === '{') return this.#list('}', () => this.#member());
    if (next === '[') return this.#list(']', () => this.value());
    if (next === '"') return this.#string();
    return this.skip(number) || this.skip(word);
  }

  skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text);
    if (found === null) return false;
    this.at += found[0].length;
    return found[0].length > 0;
  }

  #character(character: string): boolean {
    this.skip(space);
    if (this.#text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  #list(end: string, item: () => boolean): boolean {
    this.at += 1;
    if (this.#character(end)) return true;
    do {
      if (!item()) return false;
    } while (this.#character(','));
    return this.#character(end);
  }

  #member(): boolean {
    this.skip(space);
    return this.#text[this.at] === '"' && this.#string() && this.#character(':') && this.value();
  }

  #string(): boolean {
    for (this.at += 1; this.at < this.#text.length; ) {
      const character = this.#text[this.at] as string;
      if (character === '\\') {
        if (!this.skip(escaped)) return false;
        continue;
      }
      if (character < ' ') return false;
      this.at += 1;
      if (character === '"') return true;
    }
    return false;
  }
}

function errorOffset(text: string): number {
  const scanner = new Scanner(text);
  try {
    if (scanner.value()) scanner.skip(space);
  } catch (error) {
    // Nested too deep; this deep is as near as it gets.
    if (!(error instanceof RangeError)) throw error;
  }
  return scanner.at;
}

function positionOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

function describe(text: string, offset: number): string {
  if (text.trim() === '') return 'the file is empty';
  if (offset >= text.length) return 'it ends too early';
  return `unexpected ${JSON.stringify(String.fromCodePoint(text.codePointAt(offset) ?? 0))}`;
}

/** The text without the byte order mark that some editors write. */
export function textOf(bytes: Buffer): string {
  return bytes.toString('utf8').replace(/^\ufeff/, '');
}

/**
 * The JSON of a value.
 *
 * @param advice what may be wrong where the value is `undefined` or the like.
 * @throws {TypeError} (`ERR_INVALID_ARG_VALUE`) when it has none.
 */
export function toJson(value: unknown, path: string, indent?: number, advice = ''): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value, null, indent);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // Where a circle closes is told in further lines.
    throw withoutJson(path, value, `: ${error.message.split('\n', 1)}`, error);
  }
  if (text === undefined) throw withoutJson(path, value, advice);
  return text;
}

/**
 * The value that these bytes are the JSON of.
 *
 * @throws {JsonFileError} (`ERR_JSON_FILE`) with the position, counted from `firstLine`, when there is none.
 */
export function parseJson(bytes: Buffer, path: string, firstLine = 1): unknown {
  const text = textOf(bytes);
  // Else what is no UTF-8 would be read as U+FFFD and written back as that.
  const damaged = isUtf8(bytes) ? -1 : text.indexOf('\ufffd');
  let offset = damaged;
  if (damaged < 0) {
    try {
      return JSON.parse(text);
    } catch {
      offset = errorOffset(text);
    }
  }
  const { line, column } = positionOf(text, offset);
  const reason = damaged < 0 ? describe(text, offset) : 'it is not UTF-8';
  throw new JsonFileError(path, { line: line + firstLine - 1, column }, reason);
}
