import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { printable } from './printable.js';

// Whatever it is, an object that cannot be converted to a string included.
function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' && value !== null
    ? inspect(value, { depth: 0, compact: true, breakLength: Number.POSITIVE_INFINITY })
    : String(value);
}

/** The error for what cannot be used, in whatever way (`ERR_INVALID_ARG_VALUE`). */
export function unusable(message: string): TypeError {
  const error: TypeError & { code?: string } = new TypeError(printable(message));
  error.code = 'ERR_INVALID_ARG_VALUE';
  return error;
}

/** The error for an argument that cannot be used. */
export function invalid(name: string, expected: string, value: unknown): TypeError {
  return unusable(`${name} must be ${expected}, not ${describe(value)}`);
}

export function assertObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(name, 'an object', value);
}

/** A number of ms: 0 or more where `least` is 0, else above 0. */
export function duration(name: string, value: unknown, least: number): number {
  if (typeof value !== 'number' || Number.isNaN(value) || value < least) {
    throw invalid(
      name,
      least === 0 ? 'a number of ms, 0 or more' : 'a number of ms above 0',
      value,
    );
  }
  return value;
}

export function boolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(name, 'true or false', value);
  return value;
}

// A test environment such as jsdom has a global URL that those of node:url are no instances of.
function isUrl(value: unknown): value is URL {
  return typeof value === 'object' && Object.prototype.toString.call(value) === '[object URL]';
}

/** The path that a caller gave, as it is. */
export function toPath(name: string, value: unknown): string {
  const path = isUrl(value) ? fileURLToPath(value) : value;
  if (typeof path !== 'string') throw invalid(name, 'a path or a file: URL', value);
  if (path.length === 0) throw invalid(name, 'a path that is not empty', value);
  if (path.includes('\0')) throw invalid(name, 'a path without NUL bytes', value);
  return path;
}

const onWindows = process.platform === 'win32';

// The working directory may change while the lock is waited for, and a slash, `.` or `..` at the end
// would put the lock file into the folder instead of beside it. On Windows paths may begin with
// whatever drive is current, and the addon passes them on literally (native/file_lock_win.cc).
export function absolute(path: string): string {
  const last = path.charCodeAt(path.length - 1);
  const named = last !== 0x2f && last !== 0x5c && last !== 0x2e;
  return named && !onWindows && isAbsolute(path) ? path : resolve(path);
}
