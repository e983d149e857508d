import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Files to lock. They exist, since some peers refuse to lock what does not.
 * @param {string} dir
 * @param {number} count
 */
export function createResources(dir, count) {
  mkdirSync(dir, { recursive: true });
  return Array.from({ length: count }, (_, i) => {
    // Letters and digits only: one peer takes no other names.
    const path = join(dir, `resource${i}`);
    writeFileSync(path, '');
    return path;
  });
}
