/**
 * How many descriptors the process has for files whose path begins so. Not how many it has in all:
 * Node opens some of its own when it likes. Runs in an actor as well.
 */
export function descriptorsOf(_: unknown, path: string): number {
  const { readdirSync, readlinkSync } = process.getBuiltinModule('node:fs');
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The one that read the folder is closed by now.
      return '';
    }
  });
  return targets.filter((target) => target.startsWith(path)).length;
}
