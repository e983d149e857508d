/** Exit codes as in sysexits(3), which flock(1) uses too. */
export const exitCode = {
  ok: 0,
  usage: 64,
  dataError: 65,
  noInput: 66,
  unavailable: 69,
  software: 70,
  osError: 71,
  cannotCreate: 73,
  ioError: 74,
  temporaryFailure: 75,
} as const;

const withoutResources = new Set(['ENOMEM', 'EMFILE', 'ENFILE', 'ENOLCK', 'EAGAIN']);

/** Whether the system refused for lack of memory, descriptors, processes or locks. */
export function isOutOfResources(code = ''): boolean {
  return withoutResources.has(code);
}

const recordCalls = new Set(['pread', 'pwrite', 'ReadFile', 'WriteFile']);

/** The exit code for a lock file that could not be opened or locked, by the rules of flock(1). */
export function exitCodeFor(error: unknown): number {
  const { code = '', syscall = '' } = error as NodeJS.ErrnoException;
  if (isOutOfResources(code)) return exitCode.osError;
  if (code === 'EROFS' || code === 'ENOSPC' || code === 'EDQUOT') return exitCode.cannotCreate;
  if (syscall === 'flock' || syscall === 'LockFileEx') return exitCode.dataError;
  if (code === '') return exitCode.software;
  if (code === 'EIO' || recordCalls.has(syscall)) return exitCode.ioError;
  return exitCode.noInput;
}
