import { closeSync, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { JsonChangedError } from './errors.js';

const numberOf = (fd: number) => fstatSync(fd, { bigint: true }).ino;

/**
 * Shortens a file that is open for appending. Not through that descriptor: Windows refuses it, because
 * such a one may not write data that is there already.
 */
export function shorten(path: string, fd: number, size: number): void {
  const writable = openSync(path, 'r+');
  try {
    if (numberOf(writable) !== numberOf(fd)) throw new JsonChangedError(path);
    ftruncateSync(writable, size);
  } finally {
    closeSync(writable);
  }
}
