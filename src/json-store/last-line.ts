import type { FileHandle } from 'node:fs/promises';

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
    return typeof JSON.parse(text.toString()) !== 'number';
  } catch {
    return false;
  }
}

/** Reads backwards from the end, no further than to the last line end. */
export async function lastLine(handle: FileHandle, size: number): Promise<LastLine> {
  const pieces: Buffer[] = [];
  let start = size;
  // Mostly the last byte is a line end, so one byte is enough.
  let length = Math.min(size, 1);
  while (start > 0) {
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(length),
      0,
      length,
      start - length,
    );
    const piece = buffer.subarray(0, bytesRead);
    const at = piece.lastIndexOf(lineEnd);
    pieces.unshift(piece.subarray(at + 1));
    start -= length - (at + 1);
    if (at >= 0) break;
    length = Math.min(start, pieceBytes);
  }
  const text = Buffer.concat(pieces);
  return { start, end: size, text, whole: isWhole(text) };
}
