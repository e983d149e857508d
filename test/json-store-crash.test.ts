import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { jsonStore } from 'holdfast/json-store';
import { expect, test } from 'vitest';
import { temporaryFolder } from './helpers/folder.js';
import { startModule } from './helpers/program.js';
import { slowness } from './helpers/slowness.js';
import { ended, startWriter } from './helpers/store-writer.js';

const processes = 8;
const updates = 200;
const kills = 24;

type Counts = Record<string, number>;

function temporaries(file: string): string[] {
  return readdirSync(dirname(file)).filter((name) => name.endsWith('.tmp'));
}

test('8 processes make 200 updates each while 24 are killed: none is lost, and the file is always JSON', {
  timeout: 60_000 * slowness,
}, async () => {
  const file = join(temporaryFolder(), 'state.json');
  writeFileSync(file, '{}');
  const promised: Counts = {};
  const living = new Map<string, ChildProcess>();
  let killed = 0;

  const runOne = async (name: string) => {
    for (let code: number | null = null; code === null; ) {
      const child = startWriter('increments', file, name, updates);
      living.set(name, child);
      child.on('message', (message: { promised: number }) => {
        promised[name] = Math.max(promised[name] ?? 0, message.promised);
      });
      code = await ended(child);
      living.delete(name);
      expect(code ?? 0).toBe(0);
    }
  };
  const writers = Promise.all(
    Array.from({ length: processes }, (_, index) => runOne(`writer ${index}`)),
  );

  let finished = false;
  let reads = 0;
  const observer = (async () => {
    const seen: Counts = {};
    while (!finished) {
      const known = { ...promised };
      const counts: Counts = JSON.parse(readFileSync(file, 'utf8'));
      for (const [name, count] of Object.entries(known)) {
        expect(counts[name]).toBeGreaterThanOrEqual(Math.max(count, seen[name] ?? 0));
      }
      Object.assign(seen, counts);
      reads += 1;
      const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
      const due = ((killed + 1) * processes * updates) / (kills + 1);
      if (killed < kills && total >= due) {
        const victims = [...living.values()];
        victims[killed % victims.length]?.kill('SIGKILL');
        killed += 1;
      }
      await nextTurn();
    }
  })();

  await writers.finally(() => {
    finished = true;
  });
  await observer;
  const final: Counts = await jsonStore<Counts>(file).read();
  // One that was killed before it could say so may have made one more than it promised.
  expect(Object.values(final)).toEqual(Array(processes).fill(updates));
  expect(killed).toBe(kills);
  expect(reads).toBeGreaterThan(kills);
});

async function leftBy(kind: 'bigWrites' | 'unrecordedWrites', file: string): Promise<string[]> {
  for (;;) {
    const writer = startWriter(kind, file);
    while (temporaries(file).length === 0) await nextTurn();
    writer.kill('SIGKILL');
    await ended(writer);
    const left = temporaries(file);
    for (const name of left) expect(name).toMatch(`.state.json.${writer.pid}.`);
    if (left.length > 0) return left;
  }
}

test('the temporary file of a writer that was killed goes at the next update', async () => {
  const file = join(temporaryFolder(), 'state.json');
  const store = jsonStore(file);
  await store.write('first');
  await leftBy('bigWrites', file);
  // Not the first update of this store: what it goes by is that the writer died.
  await store.write('second');
  expect(temporaries(file)).toEqual([]);
  expect(await store.read()).toBe('second');
});

test('the temporary file of a writer whose lock has no token goes at the first update of a store', async () => {
  const file = join(temporaryFolder(), 'state.json');
  await leftBy('unrecordedWrites', file);
  await jsonStore(file).write('second');
  expect(temporaries(file)).toEqual([]);
});

test('the temporary file of a writer that had the same pid and token, as in a container, is not in the way', async () => {
  const file = join(temporaryFolder(), 'state.json');
  const program = startModule(
    `
    const { writeFileSync } = await import('node:fs');
    const { jsonStore } = await import(new URL('json-store/index.js', process.env.HOLDFAST_ENTRY));
    const file = process.argv[2];
    writeFileSync(file.replace('state.json', '.state.json.' + process.pid + '.1.1.tmp'), 'torn');
    await jsonStore(file).write('second');
  `,
    file,
  );
  expect(await program.ended).toMatchObject({ code: 0, stderr: '' });
  expect(temporaries(file)).toEqual([]);
  expect(await jsonStore(file).read()).toBe('second');
});
