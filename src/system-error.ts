import { statfsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { LockError, type LockErrorDetails } from './errors.js';
import { status } from './native.js';
import { printable } from './printable.js';

// In the order of `Operation` in native/lock_handle.h, which starts at 1.
const syscalls =
  process.platform === 'win32'
    ? [
        '',
        'CreateFile',
        'LockFileEx',
        'UnlockFileEx',
        'GetFileInformation',
        'ReadFile',
        'WriteFile',
        'FlushFileBuffers',
        'CreateThread',
      ]
    : ['', 'open', 'flock', 'flock', 'fstat', 'pread', 'pwrite', 'fsync', 'pthread_create'];

/** The call that locks, as an error names it. */
export const lockCall = process.platform === 'win32' ? 'LockFileEx' : 'flock';

// linux/magic.h and the like; only to name the culprit.
const fileSystems = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0x65735546, 'FUSE'],
  [0x01021997, '9p'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x5346414f, 'AFS'],
  [0x01021994, 'tmpfs'],
  [0xef53, 'ext4'],
  [0x58465342, 'XFS'],
  [0x9123683e, 'Btrfs'],
  [0x794c7630, 'overlayfs'],
  [0x73717368, 'squashfs'],
]);

const remote = new Set(['NFS', 'FUSE', '9p', 'Ceph', 'Lustre', 'AFS']);

// Linux unlocks on the server when any descriptor of the file is closed, for one that of an attempt that
// failed: seen with Linux 6.1 and Samba 4.17, also without this library.
const losesLocks = new Set(['SMB', 'CIFS']);

/** The name of the file system that a path is on, or its number, or null where it cannot be told. */
export function fileSystemOf(path: string): string | null {
  try {
    const { type } = statfsSync(dirname(path));
    // Windows has names for them, but Node does not tell.
    if (type === 0) return null;
    return fileSystems.get(type) ?? `type 0x${type.toString(16)}`;
  } catch {
    return null;
  }
}

// `\\server\share` or `\\?\UNC\server\share`, but not `\\?\C:\` nor `\\.\C:\`.
const sharedFolder = /^\\\\(?:[^?.]|\?\\UNC\\)/i;

/**
 * Whether opening and locking may take long there: decided by the file system's type, undefined where that
 * cannot be told. Throws for one that loses locks.
 */
export function isRemote(path: string): boolean | undefined {
  if (process.platform === 'win32') return sharedFolder.test(path);
  const name = fileSystemOf(path);
  if (name === null) return undefined;
  if (losesLocks.has(name)) throw systemError(-constants.errno.EOPNOTSUPP, lockCall, path);
  return remote.has(name);
}

const cannotLock = new Set(['ENOLCK', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']);
const isFull = new Set(['ENOSPC', 'EDQUOT']);

const needsAccess =
  'the lock file must be readable, and writable for an exclusive lock; where there is none, its folder must be writable';

/** What to do about a file that could not be opened, or a record that could not be written. */
const advice: Record<string, string> = {
  ELOOP: 'a symbolic link is not followed at the lock path: remove it',
  ENXIO: 'a socket cannot be locked: remove it if it was planted there',
  EISDIR: 'a folder cannot be locked: set lockPath to a file in it',
  ENAMETOOLONG: 'set lockPath to a file with a shorter name',
  ENOENT: 'the folder must exist: create it first',
  ENOTDIR: 'what should be its folder is none: set lockPath to a file in a folder',
  EACCES: needsAccess,
  EPERM: needsAccess,
  EROFS: 'set lockPath to a file on a file system that can be written',
  EMFILE: 'release locks, or raise the limit of open files',
  ENFILE: 'the whole system has too many open files',
  ENOSPC: 'free some space, or set record to false where the lock file exists',
  EDQUOT: 'free some space, or set record to false where the lock file exists',
};

function hint(code: string, syscall: string, path?: string): string {
  // The file of a mere descriptor may be anywhere, and has no lockPath.
  if (path !== undefined && syscall === syscalls[2] && cannotLock.has(code)) {
    const name = fileSystemOf(path) ?? 'unknown';
    return ` (this file system, ${name}, does not keep locks: set lockPath to a file on a local one)`;
  }
  if (syscall === syscalls.at(-1)) return ' (no thread to wait in: raise the process limit)';
  if (syscall !== syscalls[1] && !isFull.has(code)) return '';
  const advised = advice[code];
  return advised === undefined ? '' : ` (${advised})`;
}

// libuv has no name for these, but lock files meet them: NFS without its lock daemon, a deleted file
// there, a full quota.
const otherTexts: Record<string, string> = {
  ENOLCK: 'no locks available',
  ESTALE: 'stale file handle',
  EDQUOT: 'disk quota exceeded',
};

function describe(errno: number): [code: string, text: string] {
  const known = getSystemErrorMap().get(errno);
  if (known !== undefined) return known;
  const [code] = Object.entries(constants.errno).find(([, value]) => value === -errno) ?? [];
  return [code ?? `E${-errno}`, otherTexts[code ?? ''] ?? 'unknown error'];
}

/** An error of the operating system in the shape that Node's own have. */
export function systemError(errno: number, syscall: string, path?: string): NodeJS.ErrnoException {
  const [code, text] = describe(errno);
  const where = path === undefined ? '' : ` '${path}'`;
  const error: NodeJS.ErrnoException = new Error(
    printable(`${code}: ${text}, ${syscall}${where}${hint(code, syscall, path)}`),
  );
  error.errno = errno;
  error.code = code;
  error.syscall = syscall;
  if (path !== undefined) error.path = path;
  return error;
}

/** The error for whatever a native operation answered that was not success. */
export function errorFrom(result: number, details: LockErrorDetails): Error {
  const { lockPath } = details;
  if (result === status.notRegular) {
    return new LockError(
      'ERR_LOCK_NOT_REGULAR',
      `${lockPath} is not a regular file: set lockPath to another one, or remove it if it was planted there`,
      details,
    );
  }
  if (result === status.foreign) {
    return new LockError(
      'ERR_LOCK_FOREIGN_FILE',
      `${lockPath} has content that is not a holder record and was left as it is: set lockPath to another file, or record to false to lock it without writing`,
      details,
    );
  }
  if (result === status.recordTooLong) {
    return new LockError(
      'ERR_LOCK_RECORD_TOO_LONG',
      `the holder record for ${lockPath} exceeds 512 bytes: use a shorter label`,
      details,
    );
  }
  // native/lock_handle.h, Failure(): the operation stands above 16 bits of error number.
  const operation = Math.ceil(-result / 65536) - 1;
  return systemError(result + operation * 65536, syscalls[operation] ?? 'lock', lockPath);
}
