import type { FileHandle } from 'node:fs/promises';

const pieceBytes = 65_536;
const lineEnd = 0x0a;

/** The lines up to this byte, without their ends; a line may have any length. */
export async function* readLines(
  handle: FileHandle,
  end: number,
): AsyncGenerator<Buffer, void, undefined> {
  let unfinished: Buffer[] = [];
  for (let at = 0; at < end; ) {
    const wanted = Math.min(pieceBytes, end - at);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(wanted), 0, wanted, at);
    // Somebody without the lock has shortened the file.
    if (bytesRead === 0) break;
    at += bytesRead;
    let from = 0;
    for (;;) {
      const to = buffer.indexOf(lineEnd, from);
      if (to < 0 || to >= bytesRead) break;
      yield Buffer.concat([...unfinished, buffer.subarray(from, to)]);
      unfinished = [];
      from = to + 1;
    }
    unfinished.push(buffer.subarray(from, bytesRead));
  }
  const rest = Buffer.concat(unfinished);
  if (rest.length > 0) yield rest;
}
