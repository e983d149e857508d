import { expect } from 'vitest';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { startModule } from './helpers/program.js';

// Everything that is traced, once, while it is noted what is published, and which files are opened:
// the holder of an awaited lock is looked up for whoever wants to see it.
const program = `
const fs = process.getBuiltinModule('node:fs');
const { Channel, channel } = process.getBuiltinModule('node:diagnostics_channel');
const opened = [];
let published = 0;
const { openSync } = fs;
fs.openSync = (path, ...rest) => {
  opened.push(path);
  return openSync(path, ...rest);
};
process.getBuiltinModule('node:module').syncBuiltinESMExports();
// What a channel without subscribers inherits.
Channel.prototype.publish = () => { published += 1; };

const { lock, reclaimLeaked, tryLock } = await import(process.env.HOLDFAST_ENTRY);
const [resource, subscribed] = process.argv.slice(-2);
if (subscribed === 'true') {
  const names = ['wait:start', 'wait:asyncEnd', 'wait:error', 'hold:start', 'hold:asyncEnd'];
  for (const name of [...names.map((name) => 'tracing:holdfast:' + name), 'holdfast:expire', 'holdfast:leak']) {
    channel(name).subscribe((message) => {
      published += 1;
      void message.holder;
    });
  }
}
process.removeAllListeners('warning').on('warning', () => {});
opened.length = 0;

const first = tryLock(resource);
const waiting = lock(resource);
const controller = new AbortController();
const givenUp = lock(resource, { signal: controller.signal });
controller.abort();
await givenUp.catch(() => {});
first.release();
(await waiting).release();
const leased = tryLock(resource, { lease: 1 });
(await lock(resource)).release();
const leak = () => void tryLock(resource);
leak();
await reclaimLeaked();
console.log(JSON.stringify({ published, opened, expired: !leased.held }));
`;

async function cost(subscribed: boolean) {
  const { stdout } = await startModule(program, temporaryResource(), String(subscribed)).ended;
  return JSON.parse(stdout) as { published: number; opened: string[] };
}

needs('built-in modules that can be patched')(
  'without a subscriber nothing is published and no file is looked at, whatever happens to a lock',
  async () => {
    const [silent, traced] = await Promise.all([cost(false), cost(true)]);
    expect(silent).toEqual({ published: 0, opened: [], expired: true });
    // So that the other half can be believed: grants, releases, waits, an error, an expiry, a leak.
    expect(traced.published).toBeGreaterThanOrEqual(14);
    expect(traced.opened).not.toEqual([]);
  },
);
