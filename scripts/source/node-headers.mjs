import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';

/** The folder with the headers that came with this Node; node-gyp fetches them where it is undefined. */
export function nodeFolder() {
  const folder = dirname(dirname(realpathSync(process.execPath)));
  return existsSync(join(folder, 'include', 'node', 'node_api.h')) ? folder : undefined;
}
