import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lock, tryLock } from 'holdfast';
import { afterAll, describe, expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { untilBlocked } from './helpers/blocked.js';
import { temporaryResource } from './helpers/folder.js';
import { type Need, needs } from './helpers/needs.js';
import { start } from './helpers/program.js';
import { patience } from './helpers/slowness.js';

type Purpose = 'try' | 'hold';

/** Another program that locks files: exits with 1 when a try fails, prints "held" when it holds. */
interface Other {
  name: string;
  need: Need;
  command(lockPath: string, purpose: Purpose): [string, ...string[]];
}

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));

function python(call: string) {
  return (lockPath: string, purpose: Purpose): [string, ...string[]] => [
    'python3',
    '-c',
    `import fcntl, sys
f = open(sys.argv[1], 'r+')
try:
    fcntl.${call}(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(1)
if sys.argv[2] == 'hold':
    print('held', flush=True)
    sys.stdin.read()`,
    lockPath,
    purpose,
  ];
}

const perl = `use Fcntl ':flock';
$| = 1;
open(my $file, '+<', $ARGV[0]) or die;
flock($file, LOCK_EX | LOCK_NB) or exit 1;
if ($ARGV[1] eq 'hold') { print "held\\n"; <STDIN>; }`;

const folder = mkdtempSync(join(tmpdir(), 'holdfast-rust-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let rust: string | undefined;
function compiledRust(): string {
  if (rust === undefined) {
    rust = join(folder, 'try_lock');
    const { status, stderr } = spawnSync('rustc', ['-o', rust, fixture('try_lock.rs')]);
    if (status !== 0) throw new Error(`rustc: ${stderr}`);
  }
  return rust;
}

const others: Other[] = [
  {
    name: 'flock(1)',
    need: 'flock(1)',
    command: (lockPath, purpose) =>
      purpose === 'try'
        ? ['flock', '-n', lockPath, 'true']
        : ['flock', '-n', lockPath, 'sh', '-c', 'echo held; read line'],
  },
  { name: "Python's fcntl.flock", need: 'Python', command: python('flock') },
  {
    name: "Perl's flock",
    need: 'Perl',
    command: (lockPath, purpose) => ['perl', '-e', perl, lockPath, purpose],
  },
  {
    name: "Rust's File::try_lock",
    need: 'Rust 1.89',
    command: (lockPath, purpose) => [compiledRust(), lockPath, purpose],
  },
];

function run([command, ...args]: [string, ...string[]]): number | null {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (error) throw error;
  if (stderr !== '') throw new Error(stderr);
  return status;
}

describe.each(others)('$name', ({ need, command }) => {
  needs(need)('does not get a lock that is held here, and gets it once it is released', () => {
    const resource = temporaryResource();
    const held = tryLock(resource);
    expect(run(command(`${resource}.flock`, 'try'))).toBe(1);
    held?.release();
    expect(run(command(`${resource}.flock`, 'try'))).toBe(0);
  });

  needs(need)(
    'keeps a lock from being taken here, and a waiter here gets it afterwards',
    async () => {
      const resource = temporaryResource();
      tryLock(resource)?.release();
      const [program, ...args] = command(`${resource}.flock`, 'hold');
      const other = start(program, args);
      await other.printed('held');
      expect(tryLock(resource)).toBeNull();
      expect(tryLock(resource, { mode: 'shared' })).toBeNull();
      const waiting = lock(resource);
      await untilBlocked(`${resource}.flock`, 1);
      other.child.stdin?.end('\n');
      using held = await waiting;
      expect(held.held).toBe(true);
      expect((await other.ended).code).toBe(0);
    },
  );
});

const strangers: Other[] = [
  { name: "Python's fcntl.lockf", need: 'Python', command: python('lockf') },
  {
    name: "Java's FileChannel.lock",
    need: 'a Java compiler',
    command: (lockPath, purpose) => [
      'java',
      '-XX:TieredStopAtLevel=1',
      fixture('TryLock.java'),
      lockPath,
      purpose,
    ],
  },
];

// Record locks (fcntl) and flock(2) do not see each other on Linux (flock(2), "NOTES"); elsewhere
// they may. A user who counts on one against the other has to learn it from the documentation.
describe.each(strangers)('$name, a record lock,', ({ need, command }) => {
  needs(need, '/proc')('does not conflict with a lock that is held here', () => {
    const resource = temporaryResource();
    using held = tryLock(resource);
    expect(held?.held).toBe(true);
    expect(run(command(`${resource}.flock`, 'try'))).toBe(0);
  });

  needs(need, '/proc')('does not keep a lock from being taken or waited for here', async () => {
    const resource = temporaryResource();
    tryLock(resource)?.release();
    const [program, ...args] = command(`${resource}.flock`, 'hold');
    const other = start(program, args);
    await other.printed('held');
    tryLock(resource, { mode: 'exclusive' })?.release();
    const reading = tryLock(resource, { mode: 'shared' });
    expect(reading?.held).toBe(true);
    reading?.release();

    const actor = await Actor.start();
    await actor.run(({ holdfast, kept }, resource) => {
      kept['lock'] = holdfast.lockSync(resource);
    }, resource);
    const waiting = lock(resource, { timeout: patience });
    await untilBlocked(`${resource}.flock`, 1);
    await actor.run(({ kept }) => kept['lock'].release());
    using held = await waiting;
    expect(held.held).toBe(true);
    other.child.stdin?.end('\n');
    await other.ended;
  });
});
