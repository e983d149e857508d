import { fdatasync, fsync } from 'node:fs';
import { promisify } from 'node:util';

// By descriptor, because the FileHandle of Yarn's Plug'n'Play has neither.
export const syncFile: (fd: number) => Promise<void> = promisify(fsync);
export const syncData: (fd: number) => Promise<void> = promisify(fdatasync);
