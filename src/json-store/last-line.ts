import type { FileHandle } from 'node:fs/promises';
import { textOf } from './json-text.js';

/** What stands behind the last line end of a file. */
export interface LastLine {
  /** Where it starts, in bytes. */
  readonly start: number;
  /** Where the file ends. */
  readonly end: number;
  readonly text: Buffer;
  /** Whether it is nothing, or a whole entry that lacks only its line end. */
  readonly whole: boolean;
}

const pieceBytes = 65_536;
const lineEnd = 0x0a;

// A part of an object, an array or a string is never JSON by itself, but a part of a number is.
function isWhole(text: Buffer): boolean {
  if (text.length === 0) return true;
  try {
    return typeof JSON.parse(textOf(text)) !== 'number';
  } catch {
    return false;
  }
}

// A system may read less than it was asked for: what is missing might be the line end.
async function readPiece(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const piece = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(piece, done, length - done, at + done);
    // Somebody without the lock has shortened the file.
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return piece.subarray(0, done);
}

/** Reads backwards from the end, no further than to the last line end. */
export async function lastLine(handle: FileHandle, size: number): Promise<LastLine> {
  const pieces: Buffer[] = [];
  let start = size;
  // Mostly the last byte is a line end, so one byte is enough.
  let length = Math.min(size, 1);
  while (start > 0) {
    const piece = await readPiece(handle, start - length, length);
    const at = piece.lastIndexOf(lineEnd);
    pieces.unshift(piece.subarray(at + 1));
    start -= length - (at + 1);
    if (at >= 0) break;
    length = Math.min(start, pieceBytes);
  }
  const text = Buffer.concat(pieces);
  return { start, end: size, text, whole: isWhole(text) };
}
