import { printable } from '../index.js';
import type { StandardIssue } from './standard-schema.js';

/** What a file holds is not JSON (`ERR_JSON_FILE`). The message names the file and the position. */
export class JsonFileError extends Error {
  override readonly name = 'JsonFileError';
  readonly code = 'ERR_JSON_FILE';
  /** The file that cannot be read. */
  readonly path: string;
  /** Line of the first character that is wrong, from 1. */
  readonly line: number;
  /** Column of that character in UTF-16 units, from 1. */
  readonly column: number;
  /** What is wrong there. */
  readonly reason: string;
  /** Where the file was moved to, with `onCorrupt: 'backup'`; else null. */
  readonly backup: string | null;

  constructor(
    path: string,
    position: { line: number; column: number },
    reason: string,
    backup: string | null = null,
  ) {
    const { line, column } = position;
    const moved = backup === null ? '' : `; it was moved to ${backup}`;
    super(printable(`${path}:${line}:${column} is not JSON: ${reason}${moved}`));
    this.path = path;
    this.line = line;
    this.column = column;
    this.reason = reason;
    this.backup = backup;
  }
}

/** A value does not fit the schema of its store (`ERR_JSON_SCHEMA`). */
export class JsonSchemaError extends Error {
  override readonly name = 'JsonSchemaError';
  readonly code = 'ERR_JSON_SCHEMA';
  /** The file that the value was read from or was to be written to. */
  readonly path: string;
  /** What the schema says against it. */
  readonly issues: readonly StandardIssue[];

  constructor(path: string, issues: readonly StandardIssue[], where: string) {
    const [first] = issues;
    const keys = (first?.path ?? []).map((part) =>
      String(typeof part === 'object' ? part.key : part),
    );
    const at = keys.length === 0 ? '' : ` at ${keys.join('.')}`;
    const why = first?.message ?? 'no reason given';
    super(printable(`${path} ${where} what its schema refuses${at}: ${why}`));
    this.path = path;
    this.issues = issues;
  }
}

/**
 * The file was changed while an update of it was running, by a program that does not lock or by an
 * update inside the update (`ERR_JSON_CHANGED`). The update was not written.
 */
export class JsonChangedError extends Error {
  override readonly name = 'JsonChangedError';
  readonly code = 'ERR_JSON_CHANGED';
  readonly path: string;

  constructor(path: string) {
    super(
      printable(
        `${path} was changed during its update, by somebody without the lock or a nested update`,
      ),
    );
    this.path = path;
  }
}

/** The error for an argument that cannot be used (`ERR_INVALID_ARG_VALUE`). */
export function unusable(message: string, cause?: unknown): TypeError {
  const error = new TypeError(printable(message), cause === undefined ? undefined : { cause });
  return Object.assign(error, { code: 'ERR_INVALID_ARG_VALUE' });
}

/**
 * The error for a value that has no JSON, such as `undefined` or one with a BigInt in it
 * (`ERR_INVALID_ARG_VALUE`).
 */
export function withoutJson(path: string, value: unknown, why: string, cause?: unknown): TypeError {
  const shown = typeof value === 'object' ? 'this object' : String(value);
  return unusable(`${path} cannot hold ${shown}, which has no JSON${why}`, cause);
}
