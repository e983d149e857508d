import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { addonPath } from '../native.js';
import { suffix } from '../options.js';
import { printable } from '../printable.js';
import { processIdentity } from '../process-identity.js';
import { type Command, parse, UsageError } from './command.js';
import { Contender } from './contender.js';
import { exitCode } from './exit-codes.js';
import { fileSystemTypeOf } from './mount.js';
import { tableOf } from './table.js';

interface Finding {
  level: 'ok' | 'info' | 'warning' | 'failure';
  text: string;
}

const styles = { ok: 'green', info: 'dim', warning: 'yellow', failure: 'red' } as const;

/** Two processes try for real whether locks exclude in this folder. */
async function* tryLocks(folder: string): AsyncGenerator<Finding> {
  const lockPath = join(folder, `.holdfast-doctor-${randomUUID()}${suffix}`);
  const contenders = [new Contender(lockPath), new Contender(lockPath)] as const;
  const [one, other] = contenders;
  const expect = async (wanted: boolean, granted: Promise<boolean>, text: string) =>
    ({ level: (await granted) === wanted ? 'ok' : 'failure', text }) as const;
  try {
    if (!(await one.ask({ do: 'try', mode: 'exclusive' }))) {
      yield { level: 'failure', text: 'a new lock file is locked already' };
      return;
    }
    const exclusive = other.ask({ do: 'try', mode: 'exclusive' });
    yield await expect(false, exclusive, 'an exclusive lock keeps out an exclusive one');
    const shared = other.ask({ do: 'try', mode: 'shared' });
    yield await expect(false, shared, 'an exclusive lock keeps out a shared one');
    await one.ask({ do: 'release' });
    await one.ask({ do: 'try', mode: 'shared' });
    const both = other.ask({ do: 'try', mode: 'shared' });
    yield await expect(true, both, 'two processes share a shared lock');
    await other.ask({ do: 'release' });
    const waiting = other.ask({ do: 'wait', mode: 'exclusive' });
    await one.kill();
    yield await expect(true, waiting, 'a killed holder frees its lock for the one that waits');
  } catch (error) {
    yield { level: 'failure', text: (error as Error).message };
  } finally {
    await Promise.all(contenders.map((contender) => contender.kill()));
    rmSync(lockPath, { force: true });
  }
}

const network = /^(nfs|cifs|smb|ceph|lustre|afs)/i;
const forwarded = /^(fuse|virtiofs|9p)/i;

function* checkFileSystem(folder: string): Generator<Finding> {
  const type = fileSystemTypeOf(folder);
  yield { level: 'info', text: `file system ${type ?? 'unknown'} at ${folder}` };
  if (type === null) return;
  if (network.test(type)) {
    yield {
      level: 'warning',
      text: `${type} is a network file system: what was tried on one machine says nothing about two`,
    };
  } else if (forwarded.test(type)) {
    yield {
      level: 'warning',
      text: `${type} may keep locks on this side only: on Docker Desktop bind mounts the host and other containers are not excluded`,
    };
  } else if (/^overlay/.test(type)) {
    yield {
      level: 'warning',
      text: 'on overlay file systems, containers of one image do not exclude each other: share a volume instead',
    };
  }
}

function* checkPermissions(folder: string): Generator<Finding> {
  const { mode } = statSync(folder);
  if (process.platform === 'win32') return;
  if ((mode & 0o002) !== 0) {
    yield {
      level: 'warning',
      text: 'everybody may create files in this folder, and so hold or plant lock files of yours',
    };
  }
  const readable = readdirSync(folder).filter(
    (name) =>
      name.endsWith(suffix) &&
      ((statSync(join(folder, name), { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0,
  );
  if (readable.length > 0) {
    yield {
      level: 'warning',
      text: `whoever may open a lock file may hold it, and others may open ${readable.length} here, for one ${readable[0]}`,
    };
  }
}

// The kernel gives the first pid namespace this inode number (PROC_PID_INIT_INO).
const initialPidNamespace = 0xeffffffc;

function* checkContainer(): Generator<Finding> {
  if (process.platform !== 'linux') return;
  if (!existsSync('/proc/locks')) {
    yield { level: 'warning', text: 'without /proc/locks only holder records name holders' };
  } else if (processIdentity.pidns !== initialPidNamespace) {
    yield {
      level: 'warning',
      text: 'this is a pid namespace (a container): holders outside of it keep locks but cannot be named by the kernel',
    };
  }
}

/** `holdfast doctor`. */
export const doctor: Command = {
  synopsis: ['[DIR]'],
  about:
    'Checks whether locks work in DIR (default: this folder): two processes try for real, and what is\n' +
    'known of the file system, the permissions and the container is said.',
  flags: {},
  notes: 'Exit codes: 0 locks work, 1 they do not, 64 wrong usage, 66 DIR cannot be read.',
  async run(args) {
    const [folder = '.', more] = parse({}, args).positionals;
    if (more !== undefined) throw new UsageError('doctor checks one DIR');
    if (!statSync(folder).isDirectory()) throw new UsageError(`${folder} is not a folder`);
    const findings: Finding[] = [
      { level: 'info', text: `Node ${process.version} on ${process.platform}-${process.arch}` },
      { level: 'info', text: `native addon ${addonPath}` },
      ...checkFileSystem(resolve(folder)),
    ];
    for await (const finding of tryLocks(folder)) findings.push(finding);
    findings.push(...checkPermissions(folder), ...checkContainer());
    const rows = findings.map(({ level, text }) => [
      { text: level, style: styles[level] },
      { text: printable(text) },
    ]);
    process.stdout.write(`${tableOf(rows).join('\n')}\n`);
    return findings.some(({ level }) => level === 'failure') ? 1 : exitCode.ok;
  },
};
