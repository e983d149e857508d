import { writeFileSync } from 'node:fs';
import { inspect, lock, tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { parseHolderRecord } from '../src/holder-record.js';
import { describeHolders } from '../src/lock-holder.js';
import { temporaryResource } from './helpers/folder.js';
import { randomFrom, randomSeed } from './helpers/random.js';
import { craftRecord, type RecordMembers } from './helpers/record.js';
import { slowness } from './helpers/slowness.js';

const members: RecordMembers = {
  pid: 4242,
  start: 1,
  host: 'gw-1',
  boot: '9abbc02c-830b-4898-8661-1efc1cfba737',
  pidns: 4026531836,
  token: '7',
  since: 1_700_000_000_000,
  lease: 30_000,
  label: 'append reply',
};

const escapes = '\x1b[2J\x1b]0;title\x07\r\n\u202e\u2028\x9b31m';
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const unprintable = /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/;

const values: unknown[] = [
  -1,
  0,
  1.5,
  1e308,
  2 ** 53,
  null,
  true,
  '',
  escapes,
  [],
  {},
  [[[[]]]],
  { toString: 1 },
  '99999999999999999999999',
  '-1',
  '0x10',
  'é'.repeat(60),
  Number.MAX_SAFE_INTEGER,
];
const fragments = [
  '"',
  '\\',
  '{',
  '}',
  '\n',
  ' ',
  ',',
  ':',
  '[',
  '\0',
  '"held"',
  '"free"',
  '{"holdfast":1,',
  '"__proto__":{"pid":1}',
  '"constructor":{}',
  '\ud800',
  '\u{1f600}',
  'e999',
  '-',
  escapes,
];

/** Makes contents from noise to records whose checksum is right and whose members are absurd. */
function hostileFrom(random: (below: number) => number): () => string {
  const noise = Buffer.from(Array.from({ length: 65_536 }, () => random(256))).toString('latin1');
  const whole = craftRecord(members);
  const names = Object.keys(members);
  return () => {
    const kind = random(8);
    if (kind === 0) return noise.slice(random(noise.length), random(noise.length)).slice(0, 600);
    if (kind === 1) {
      const odd: Record<string, unknown> = { ...members };
      for (let i = random(3); i >= 0; i -= 1) {
        odd[names[random(names.length)] as string] = values[random(values.length)];
      }
      return craftRecord(odd as unknown as RecordMembers, random(2) === 0 ? 'held' : 'free');
    }
    let content = whole;
    for (let i = random(3); i >= 0; i -= 1) {
      const at = random(content.length);
      const fragment = fragments[random(fragments.length)] as string;
      content = content.slice(0, at) + fragment + content.slice(at + random(3) * fragment.length);
    }
    return kind < 5 ? content.slice(0, random(content.length)) : content;
  };
}

const inputs = 1_000_000;

test(`the parser reads ${inputs} hostile contents as records or as nothing`, {
  timeout: 120_000 * slowness,
}, () => {
  const seed = randomSeed();
  const hostile = hostileFrom(randomFrom(seed));
  let records = 0;
  let longest = 0;
  for (let i = 0; i < inputs; i += 1) {
    const content = hostile();
    const started = performance.now();
    const record = parseHolderRecord(content);
    longest = Math.max(longest, performance.now() - started);
    if (record === null) continue;
    records += 1;
    const { pid, since, token, label, host } = record;
    const sound =
      Number.isSafeInteger(pid) &&
      Number.isSafeInteger(since) &&
      typeof token === 'bigint' &&
      (label === null || typeof label === 'string') &&
      typeof host === 'string' &&
      Object.getPrototypeOf(record) === Object.prototype;
    if (!sound) throw new Error(`seed ${seed}, input ${i}: ${JSON.stringify(content)}`);
    const holder = { ...record, command: label, whereabouts: 'elsewhere' as const };
    const text = describeHolders([holder]);
    if (unprintable.test(text)) throw new Error(`seed ${seed}, input ${i}: ${text}`);
  }
  expect(records).toBeGreaterThan(inputs / 100);
  // Bounded by the size of a record; a pause of the process is not the parser's.
  expect(longest).toBeLessThan(1_000);
});

test('inspect and a timeout show hostile contents as nothing worse than text', async () => {
  const hostile = hostileFrom(randomFrom(42));
  const lockPath = temporaryResource();
  using _ = tryLock('x', { lockPath, record: false });
  for (let i = 0; i < 300; i += 1) {
    writeFileSync(lockPath, hostile());
    const { state } = await inspect('x', { lockPath });
    expect(state).toBe('exclusive');
    const error = await lock('x', { lockPath, timeout: 0, record: false }).catch((e: Error) => e);
    expect((error as Error).message).toMatch(/^timed out after 0 ms/);
    expect((error as Error).message).not.toMatch(unprintable);
  }
});

test('inspect reads no more than a record of a huge file', async () => {
  const lockPath = temporaryResource();
  writeFileSync(lockPath, craftRecord(members, 'free') + ' '.repeat(50_000_000));
  const started = process.memoryUsage().rss;
  expect((await inspect('x', { lockPath })).state).toBe('free');
  expect(process.memoryUsage().rss - started).toBeLessThan(20_000_000);
});
