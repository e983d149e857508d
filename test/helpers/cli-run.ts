import { join } from 'node:path';
import { temporaryFolder } from './folder.js';

/** A path for a lock file, in a folder of its own. */
export const lockFile = () => join(temporaryFolder(), 'lock');

/** The end of a command line that runs this JavaScript. */
export const node = (source: string) => ['--', process.execPath, '-e', source];

/** A command that says that it runs, and ends when its standard input does. */
export const waits = node('console.log("in"); process.stdin.resume()');
