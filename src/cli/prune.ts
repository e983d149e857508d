import { lstatSync, statSync, unlinkSync } from 'node:fs';
import { isForeign, parseHolderRecord, recordBytes } from '../holder-record.js';
import { tryLock } from '../lock.js';
import { printable } from '../printable.js';
import { type Command, complain, parse, UsageError } from './command.js';
import { exitCode } from './exit-codes.js';
import { lockFilesIn } from './lock-files.js';
import { readStart } from './read-start.js';

const flags = {
  'dry-run': { type: 'boolean', short: 'n', help: 'only say what would be removed' },
  'keep-crashed': {
    type: 'boolean',
    help: 'keep those whose last holder crashed, so that the next one learns of it',
  },
} as const;

interface Choice {
  dryRun: boolean;
  keepCrashed: boolean;
}

type Verdict = 'removed' | 'held' | 'other content' | 'crashed' | 'gone';

/** What stands in the file: nothing or a record, one of a holder that crashed, or something else. */
function contentOf(lockPath: string): 'ours' | 'crashed' | 'foreign' {
  const start = readStart(lockPath, recordBytes + 1);
  const content = start.toString('utf8');
  if (start.length > recordBytes || isForeign(content)) return 'foreign';
  return parseHolderRecord(content)?.state === 'held' ? 'crashed' : 'ours';
}

function numberOf(lockPath: string): bigint | undefined {
  return lstatSync(lockPath, { bigint: true, throwIfNoEntry: false })?.ino;
}

function pruneOne(lockPath: string, { dryRun, keepCrashed }: Choice): Verdict {
  for (;;) {
    const before = numberOf(lockPath);
    if (before === undefined) return 'gone';
    using held = tryLock(lockPath, { lockPath, record: false });
    if (held === null) return 'held';
    // Somebody else removed or replaced it meanwhile, and this lock may be on another file.
    if (numberOf(lockPath) !== before) continue;
    const content = contentOf(lockPath);
    if (content === 'foreign') return 'other content';
    if (content === 'crashed' && keepCrashed) return 'crashed';
    // Unlinked while it is held: whoever opened it before finds that out and starts again.
    if (!dryRun) unlinkSync(lockPath);
    return 'removed';
  }
}

function summaryOf(counts: Map<Verdict, number>, dryRun: boolean): string {
  const kept = (['held', 'other content', 'crashed'] as const)
    .filter((verdict) => counts.has(verdict))
    .map((verdict) => `${counts.get(verdict)} ${verdict}`);
  const removed = `${dryRun ? 'would remove' : 'removed'} ${counts.get('removed') ?? 0}`;
  return kept.length === 0 ? removed : `${removed}, kept ${kept.join(', ')}`;
}

async function pruneFolder(folder: string, choice: Choice): Promise<number> {
  const counts = new Map<Verdict, number>();
  let code: number = exitCode.ok;
  const fail = (error: unknown) => {
    complain(error);
    code = exitCode.ioError;
  };
  for await (const found of lockFilesIn(folder)) {
    if ('error' in found) {
      if (found.lockPath === folder) throw found.error;
      fail(found.error);
      continue;
    }
    try {
      const verdict = pruneOne(found.lockPath, choice);
      counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
      if (verdict === 'removed') process.stdout.write(`${printable(found.lockPath)}\n`);
    } catch (error) {
      fail(error);
    }
  }
  process.stdout.write(`${summaryOf(counts, choice.dryRun)}\n`);
  return code;
}

/** `holdfast prune`. */
export const prune: Command = {
  synopsis: ['[--dry-run] [--keep-crashed] DIR'],
  about:
    'Removes the lock files in DIR and below that nobody holds: files that end in .flock and are empty\n' +
    'or have a holder record. Each is locked first and unlinked while it is held, so that whoever\n' +
    'was about to take it takes a new one. Fencing tokens start again with the new file: a store that\n' +
    'compares them has to pass minToken. flock(1) does not notice that its file was removed: do not\n' +
    'prune files that it locks as well.',
  flags,
  notes: 'Exit codes: 0, 64 wrong usage, 66 DIR cannot be read, 74 something could not be removed.',
  async run(args) {
    const { values, positionals } = parse(flags, args);
    const [folder, more] = positionals;
    if (folder === undefined || more !== undefined) throw new UsageError('prune needs one DIR');
    if (!statSync(folder).isDirectory()) throw new UsageError(`${folder} is not a folder`);
    return pruneFolder(folder, {
      dryRun: values['dry-run'] ?? false,
      keepCrashed: values['keep-crashed'] ?? false,
    });
  },
};
