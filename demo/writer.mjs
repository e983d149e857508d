// One of the processes of the demo: node writer.mjs append SESSION NAME TURNS LOCKED
//                                   node writer.mjs hold SESSION NAME
import { readFileSync, writeFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { lock, withLock } from '../dist/index.js';

const [task, session, name, turns, locked] = process.argv.slice(2);

/** Appends a numbered turn as a chat gateway does: read the session, add a line, write it back. */
async function appendTurn(turn) {
  const before = readFileSync(session, 'utf8');
  // A gateway would call a model here; others run meanwhile.
  await nextTurn();
  writeFileSync(
    session,
    `${before}${JSON.stringify({ writer: name, turn, text: 'x'.repeat(200) })}\n`,
  );
}

if (task === 'append') {
  // All processes start together: the parent writes one byte when everybody is ready.
  process.stdout.write('ready\n');
  await new Promise((resolve) => process.stdin.once('data', resolve));
  process.stdin.pause();
  for (let turn = 0; turn < Number(turns); turn += 1) {
    if (locked === 'locked')
      await withLock(session, { label: `${name}, turn ${turn}` }, () => appendTurn(turn));
    else await appendTurn(turn);
  }
} else {
  await lock(session, { label: `${name}: append reply` });
  process.stdout.write('holding\n');
  // Lives on and never releases.
  setInterval(() => {}, 1_000);
}
