import { readFileSync } from 'node:fs';

// The fields of proc_pid_stat(5) from the state on. The command name before it may contain anything, so
// they are counted from its closing bracket.
function statOf(pid: number | 'self'): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** Start of a process in clock ticks since boot; null where it cannot be told. Linux only. */
export function startTimeOf(pid: number | 'self'): number | null {
  const fields = statOf(pid);
  return fields === null ? null : Number(fields[19]);
}

/** Whether a process lives. One that nobody has reaped yet does not: containers are full of them. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return statOf(pid)?.[0] !== 'Z';
}
