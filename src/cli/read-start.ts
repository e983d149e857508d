import { closeSync, openSync, readSync } from 'node:fs';
import { lookFlags } from '../find-holders.js';

/** The first bytes of a file, at most `length`. Neither follows a link nor blocks at a FIFO. */
export function readStart(path: string, length: number): Buffer {
  const fd = openSync(path, lookFlags);
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(fd, buffer, 0, length, 0));
  } finally {
    closeSync(fd);
  }
}
