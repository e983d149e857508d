// One process of the story, A or B. It does what it is told and says what came of it.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonlStore } from '../dist/json-store/index.js';
import { acquireSessionWriteLock, withFileLock } from '../dist/session-lock/index.js';
import { acquireOldSessionLock } from '../test/fixtures/old-session-lock.mjs';

const [folder, leaseMs, oldTimeoutMs] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const oldSession = join(folder, 'old-sessions', 'chat.jsonl');
const session = join(folder, 'sessions', 'chat.jsonl');
const retries = { retries: 10, factor: 2, minTimeout: 100, maxTimeout: 2_000 };

// Long-running programs log what goes wrong and live on; that is how they leak.
process.on('unhandledRejection', (error) => process.send({ logged: error.message }));

// What a program keeps in a Map is never collected, so only the lease can free it.
const streams = new Map();

async function never(name) {
  await new Promise((resolve) => streams.set(name, resolve));
}

function cleanUp() {
  throw new Error('cleanup failed: the socket is gone');
}

const held = new Map();

async function turn(lock, text) {
  await jsonlStore(session).append({ text });
  held.set('lock', lock);
  process.send({ holds: String(lock.token) });
}

const leaks = {
  'callback never settles': async () => {
    const old = await acquireOldSessionLock({ sessionFile: oldSession });
    streams.set('old lock', old);
    const options = { retries, stale: 30_000, maxHoldMs: leaseMs, label: 'A: reply' };
    await withFileLock(session, options, async (lock) => {
      await turn(lock, 'A, before its callback hung');
      await never('reply');
    });
  },

  'cleanup throws before release': async () => {
    streams.set('old lock', await acquireOldSessionLock({ sessionFile: oldSession }));
    const params = { sessionFile: session, maxHoldMs: leaseMs, label: 'A: reply' };
    const { lock, release } = await acquireSessionWriteLock(params);
    try {
      await turn(lock, 'A, before its cleanup threw');
    } finally {
      cleanUp();
      await release();
    }
  },

  'event loop is blocked': async () => {
    streams.set('old lock', await acquireOldSessionLock({ sessionFile: oldSession }));
    const params = { sessionFile: session, maxHoldMs: leaseMs, label: 'A: reply' };
    const { lock } = await acquireSessionWriteLock(params);
    await turn(lock, 'A, before its event loop was blocked');
    setImmediate(() => {
      for (const end = Date.now() + 1.2 * leaseMs; Date.now() < end; );
    });
  },
};

const actions = {
  goOn() {
    streams.get('go on')();
  },

  leak(name) {
    void leaks[name]();
  },

  // What A does when it comes round: it still believes that the session is its own.
  writeLate() {
    const lock = held.get('lock');
    lock.assertHeld();
    appendFileSync(session, '{"text":"A, far too late"}\n');
  },

  async appendOld() {
    const params = { sessionFile: oldSession, timeoutMs: oldTimeoutMs };
    await (await acquireOldSessionLock(params)).release();
  },

  async appendNew(text) {
    const label = 'B: next message';
    const { lock, release } = await acquireSessionWriteLock({ sessionFile: session, label });
    process.send({ holds: String(lock.token) });
    await new Promise((resolve) => streams.set('go on', resolve));
    await jsonlStore(session).append({ text });
    await release();
    return String(lock.token);
  },
};

process.on('message', async ({ action, value }) => {
  const started = performance.now();
  const done = () => Math.round(performance.now() - started);
  try {
    process.send({ action, value: await actions[action](value), ms: done() });
  } catch (error) {
    const { code, message } = error;
    process.send({ action, error: { code, message }, ms: done() });
  }
});
process.on('disconnect', () => process.exit());
process.send({ ready: true });
