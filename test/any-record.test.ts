import { readFileSync, writeFileSync } from 'node:fs';
import { tryLock } from 'holdfast';
import { expect, test } from 'vitest';
import { type HolderRecord, parseHolderRecord } from '../src/holder-record.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { startModule } from './helpers/program.js';
import { randomFrom, randomSeed } from './helpers/random.js';
import { craftRecord } from './helpers/record.js';
import { slowness } from './helpers/slowness.js';

type Random = (below: number) => number;

const mostLabelBytes = 200;
const lastToken = 2n ** 64n - 1n;
const special = '"\\/\u007f\u0085\u2028\u2029\ufeff\ud800\udc00';

/** Where the bytes of UTF-8 become more, and those that JSON writes in its own way. */
function characterFrom(random: Random): string {
  if (random(8) === 0) return special.charAt(random(special.length));
  const below = [0x20, 0x80, 0x100, 0x2100, 0x1_0000, 0x11_0000][random(6)] as number;
  return String.fromCodePoint(random(below));
}

function labelFrom(random: Random): string {
  const most = random(3) === 0 ? mostLabelBytes : random(mostLabelBytes);
  for (let label = '', longer = ''; ; label = longer, longer += characterFrom(random)) {
    if (Buffer.byteLength(JSON.stringify(longer)) > most) return label;
  }
}

/** What the records of this process begin with. */
function identityIn(lockPath: string) {
  const record = parseHolderRecord(readFileSync(lockPath, 'utf8'));
  const { pid, start, host, boot, pidns } = record as HolderRecord;
  return { pid, start, host, boot, pidns };
}

function tokenFrom(random: Random): bigint {
  if (random(8) === 0) return lastToken;
  return 1n + ((BigInt(random(2 ** 32)) << 31n) >> BigInt(random(64)));
}

test.each(['\u2028', '\u2029', '\u0085', '\r\n', '\u007f', '\ufeff', '\ud800'])(
  'that the last holder crashed is seen with %j in its label',
  (character) => {
    const resource = temporaryResource();
    const label = `before${character}after`;
    const crashed = tryLock(resource, { label });
    const content = readFileSync(`${resource}.flock`);
    crashed?.release();
    writeFileSync(`${resource}.flock`, content);
    using next = tryLock(resource);
    expect(next?.previousHolder).toMatchObject({ label });
  },
);

// On Linux a host name is 64 bytes long at most; elsewhere it may be that many characters of any script.
needs('built-in modules that can be patched').each(['\u9f8d', '\\', '\ud83d\ude00'])(
  'the longest label has room beside a long host name of %j',
  async (character) => {
    const resource = temporaryResource();
    const { ended } = startModule(
      `const os = process.getBuiltinModule('node:os');
       os.hostname = () => ${JSON.stringify(character.repeat(200))};
       process.getBuiltinModule('node:module').syncBuiltinESMExports();
       const { tryLock } = await import(process.env.HOLDFAST_ENTRY);
       const options = { label: 'x'.repeat(500), lease: 1e12, minToken: 2n ** 63n - 1n };
       tryLock(process.argv[2], options).release();`,
      resource,
    );
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
    const record = parseHolderRecord(readFileSync(`${resource}.flock`, 'utf8'));
    expect(record?.label).toBe('x'.repeat(mostLabelBytes - 2));
    expect(record?.host.replaceAll(character, '')).toBe('');
    expect(record?.host).toContain(character);
  },
);

test('records of 10,000 labels, leases and tokens are what was asked for, byte for byte', {
  timeout: 60_000 * slowness,
}, () => {
  const seed = randomSeed();
  const random = randomFrom(seed);
  const resource = temporaryResource();
  const lockPath = `${resource}.flock`;
  tryLock(resource)?.release();
  const identity = identityIn(lockPath);
  let label = '';
  let longest = 0;
  for (let i = 0; i < 10_000; i += 1) {
    // Often the one before: what a record begins with is used again then.
    if (random(3) > 0) label = labelFrom(random);
    const token = tokenFrom(random);
    const lease = random(2) === 0 ? null : 10 ** (4 + random(9)) - random(2);
    const ownLabel = random(4) === 0 ? null : label;
    const before = { ...identity, lease: null, label: null, since: 1 };
    writeFileSync(lockPath, craftRecord({ ...before, token: String(token - 1n) }, 'free'));
    using held = tryLock(resource, { label: ownLabel ?? undefined, lease: lease ?? undefined });
    const bytes = readFileSync(lockPath);
    const content = bytes.toString();
    const record = parseHolderRecord(content);
    const since = record?.since ?? 0;
    const members = { ...identity, lease, label: ownLabel, since, token: String(token) };
    const same = content.trimEnd() === craftRecord(members).trimEnd() && content.endsWith(' \n');
    const read = record?.label === ownLabel && record.token === token && held?.token === token;
    if (bytes.length !== 512 || !same || !read)
      throw new Error(`seed ${seed}, record ${i}: ${content} for ${JSON.stringify(members)}`);
    longest = Math.max(longest, Buffer.byteLength(JSON.stringify(ownLabel)));
  }
  expect(longest).toBe(mostLabelBytes);
});
