// The story that this library was made for: a process leaks the lock of a session and lives on.
// Run it alone with `node demo/leak-story.mjs`, after `npm run build`.
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const leaseMs = 2_000;
const oldTimeoutMs = 1_000;
const leaks = ['callback never settles', 'cleanup throws before release', 'event loop is blocked'];

const program = fileURLToPath(new URL('leak-story-process.mjs', import.meta.url));
const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** A process of the story. */
class Player {
  #child;

  constructor(folder) {
    this.#child = fork(program, [folder, String(leaseMs), String(oldTimeoutMs)]);
    this.#child.setMaxListeners(20);
  }

  get pid() {
    return this.#child.pid;
  }

  get isAlive() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The first message that has this member. */
  next(member) {
    return new Promise((resolve, reject) => {
      const onExit = () => reject(new Error(`a process of the story ended before «${member}»`));
      const onMessage = (message) => {
        if (message[member] === undefined) return;
        this.#child.off('message', onMessage).off('exit', onExit);
        resolve(message);
      };
      this.#child.on('message', onMessage).on('exit', onExit);
    });
  }

  async do(action, value) {
    this.#child.send({ action, value });
    for (;;) {
      const answer = await this.next('action');
      if (answer.action === action) return answer;
    }
  }

  async end() {
    if (!this.isAlive) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

function showStatus(folder, log) {
  if (!existsSync(command)) return;
  log('  $ holdfast status sessions');
  const options = { cwd: folder, encoding: 'utf8' };
  const table = execFileSync(process.execPath, [command, 'status', 'sessions'], options);
  for (const line of table.trimEnd().split('\n')) {
    log(`    ${line.replaceAll(`${dirname(program)}/`, '').trimEnd()}`);
  }
}

async function tell(leak, folder, log) {
  const say = (line) => log(`  ${line.replaceAll(`${folder}/`, '')}`);
  const [a, b, other] = [new Player(folder), new Player(folder), new Player(folder)];
  try {
    await Promise.all([a, b, other].map((player) => player.next('ready')));
    const holds = a.next('holds');
    await a.do('leak', leak);
    const tokenOfA = BigInt((await holds).holds);
    log(`A (pid ${a.pid}): ${leak}. It holds the session with token ${tokenOfA}, and lives on.`);

    const old = other.do('appendOld');
    const started = performance.now();
    const granted = b.next('holds');
    const appended = b.do('appendNew', `B, after A: ${leak}`);
    if (leak === leaks[0]) showStatus(folder, log);
    const { error } = await old;
    say(`old protocol: B fails after ${seconds(oldTimeoutMs)}: ${error?.message}`);
    const tokenOfB = BigInt((await granted).holds);
    const waitedMs = performance.now() - started;
    say(`holdfast: B has the session after ${seconds(waitedMs)}, with token ${tokenOfB}.`);
    if (leak === leaks[0]) showStatus(folder, log);
    await b.do('goOn');
    await appended;
    const late = await a.do('writeLate');
    say(`A writes late and is refused (${late.error?.code}): ${late.error?.message}`);
    return { leak, tokenOfA, tokenOfB, waitedMs, old: error, late: late.error, aLives: a.isAlive };
  } finally {
    await Promise.all([a, b, other].map((player) => player.end()));
    rmSync(join(folder, 'old-sessions', 'chat.jsonl.lock'), { force: true });
  }
}

/**
 * Tells the story, about 8 s long.
 *
 * @param {(line: string) => void} log where its lines go.
 * @returns what happened at each leak, and the session at the end.
 */
export async function tellLeakStory(log = console.log) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-story-'));
  try {
    for (const part of ['old-sessions', 'sessions']) mkdirSync(join(folder, part));
    log('A process leaks the lock of its session and lives on; B has the next message for it.');
    log(
      `The lease here is ${seconds(leaseMs)}. The old protocol (an O_EXCL file with a pid) waits ${seconds(oldTimeoutMs)} here;`,
    );
    log('in the field it is 10 s, and each try fails so until the file is 30 minutes old.');
    const told = [];
    for (const leak of leaks) told.push(await tell(leak, folder, log));
    const text = readFileSync(join(folder, 'sessions', 'chat.jsonl'), 'utf8');
    const session = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).text);
    log(`The session has all ${session.length} turns, in order, and nothing that came late:`);
    for (const turn of session) log(`  ${turn}`);
    return { told, session };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await tellLeakStory();
