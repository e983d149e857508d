import { constants } from 'node:os';
import { afterEach } from 'vitest';

const fs = process.getBuiltinModule('node:fs');
const { promises } = fs;
const { syncBuiltinESMExports } = process.getBuiltinModule('node:module');

type Code = keyof typeof constants.errno;
type Restore = () => void;
type Callable = (...args: unknown[]) => unknown;
/** Whatever is given to what it replaces. */
type Replacement = (...args: never[]) => unknown;

const all = fs as unknown as Record<string, Replacement>;

let restores: Restore[] = [];

/** An error as Node makes it. */
function refusal(code: Code, syscall: string): NodeJS.ErrnoException {
  const error = new Error(`${code}: on purpose, ${syscall}`);
  return Object.assign(error, { code, errno: -constants.errno[code], syscall });
}

/** Lets all system calls succeed again. */
export function allow(): void {
  for (const restore of restores.reverse()) restore();
  restores = [];
  syncBuiltinESMExports();
}

afterEach(allow);

/** Makes a synchronous function of node:fs fail for one file, until `allow()`. */
export function refuse(
  name: 'closeSync' | 'ftruncateSync' | 'openSync' | 'readFileSync' | 'writeFileSync',
  file: string,
  code: Code,
): void {
  const real = all[name] as Callable;
  const inoOf = (path: string) => fs.statSync(path, { throwIfNoEntry: false })?.ino;
  all[name] = (first: number | string, ...rest: unknown[]) => {
    const ino = typeof first === 'number' ? fs.fstatSync(first).ino : inoOf(first);
    const refused = ino !== undefined && ino === inoOf(file);
    // A descriptor is closed whatever close(2) says.
    if (refused && name === 'closeSync') real(first);
    if (refused) throw refusal(code, name);
    return real(first, ...rest);
  };
  restores.push(() => {
    all[name] = real;
  });
  syncBuiltinESMExports();
}

const refusedSyncs = new Map<string, () => Promise<NodeJS.ErrnoException>>();

// At once, because whoever makes promises of them does so when it is loaded: load it after this.
for (const name of ['fsync', 'fdatasync']) {
  const real = all[name] as Callable;
  all[name] = (fd: number, done: (error: unknown) => void) => {
    const refused = refusedSyncs.get(name);
    if (refused === undefined) real(fd, done);
    else setImmediate(() => refused().then(done));
  };
}
syncBuiltinESMExports();

/** Makes such calls fail, until `allow()`, after something else has happened. */
export function refuseToSync(
  name: 'fsync' | 'fdatasync',
  code: Code,
  meanwhile: () => unknown = () => {},
): void {
  refusedSyncs.set(name, async () => {
    await meanwhile();
    return refusal(code, name);
  });
  restores.push(() => refusedSyncs.delete(name));
}

/** Has the kernel's list of locks be empty for the one who reads it first, until `allow()`. */
export function emptyLocksOnce(): void {
  const { readFileSync } = fs;
  const { readFile } = promises;
  const unseen = new Set<unknown>(['/proc/locks']);
  const isFirst = (path: unknown) => unseen.delete(path);
  all['readFileSync'] = (...args: Parameters<typeof readFileSync>) =>
    isFirst(args[0]) ? '' : readFileSync(...args);
  promises.readFile = (async (...args: Parameters<typeof readFile>) =>
    isFirst(args[0]) ? '' : readFile(...args)) as typeof readFile;
  restores.push(() => {
    all['readFileSync'] = readFileSync as Replacement;
    promises.readFile = readFile;
  });
  syncBuiltinESMExports();
}

/** Replaces a method of file handles that are opened from now on, but for lock files, until `allow()`. */
export function onHandles(
  name: 'read' | 'writeFile' | 'close',
  make: (real: Callable) => Replacement,
): void {
  const { open } = promises;
  promises.open = async (...args: Parameters<typeof open>) => {
    const handle = await open(...args);
    if (String(args[0]).endsWith('.flock')) return handle;
    Object.defineProperty(handle, name, { value: make(handle[name].bind(handle) as Callable) });
    return handle;
  };
  restores.push(() => {
    promises.open = open;
  });
  syncBuiltinESMExports();
}

/** Does something else before such a call of this path, or of such paths, until `allow()`. */
export function before(
  name: 'open' | 'readdir' | 'unlink',
  path: string | RegExp,
  meanwhile: (path: string) => unknown,
): void {
  const all = promises as unknown as Record<string, Callable>;
  const real = all[name] as Callable;
  all[name] = async (...args) => {
    const given = String(args[0]);
    if (typeof path === 'string' ? given === path : path.test(given)) await meanwhile(given);
    return real(...args);
  };
  restores.push(() => {
    all[name] = real;
  });
  syncBuiltinESMExports();
}

/** Makes the first calls fail that name this path, until `allow()`. */
export function refuseAtFirst(
  name: 'open' | 'unlink' | 'openSync' | 'renameSync' | 'unlinkSync',
  path: string,
  code: Code,
  times = 2,
): void {
  const owner = (name.endsWith('Sync') ? fs : promises) as unknown as Record<string, Callable>;
  const real = owner[name] as Callable;
  let left = times;
  owner[name] = (...args) => {
    if (args[0] !== path || left === 0) return real(...args);
    left -= 1;
    throw refusal(code, name);
  };
  restores.push(() => {
    owner[name] = real;
  });
  syncBuiltinESMExports();
}

/** Makes the opening of this path fail, until `allow()`. */
export function refuseToOpen(path: string, code: Code): void {
  before('open', path, () => {
    throw refusal(code, 'open');
  });
}

/** Makes closing of such handles fail, which are closed all the same. */
export function refuseToClose(code: Code): void {
  onHandles('close', (real) => async () => {
    await real();
    throw refusal(code, 'close');
  });
}

/** Refuses to shorten files through descriptors that append, as Windows does and Wine does not, until `allow()`. */
export function refuseToShortenAppending(): void {
  const { open } = promises;
  const { ftruncateSync } = fs;
  const appending = new Set<number>();
  promises.open = async (...args: Parameters<typeof open>) => {
    const handle = await open(...args);
    if (typeof args[1] === 'number' && (args[1] & fs.constants.O_APPEND) !== 0)
      appending.add(handle.fd);
    return handle;
  };
  fs.ftruncateSync = (fd, size) => {
    if (appending.has(fd)) throw refusal('EPERM', 'ftruncate');
    ftruncateSync(fd, size);
  };
  restores.push(
    () => Object.assign(promises, { open }),
    () => Object.assign(fs, { ftruncateSync }),
  );
  syncBuiltinESMExports();
}
