import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { guardProcess } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';

const program = fileURLToPath(new URL('./fixtures/guarded.mjs', import.meta.url));
const entry = new URL('../dist/index.js', import.meta.url).href;

async function outcome(settings: object, flags: string[] = []) {
  const child = spawn(
    process.execPath,
    [...flags, program, JSON.stringify(settings), temporaryResource()],
    { env: { ...process.env, HOLDFAST_ENTRY: entry }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const [out, error, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code, signal, out, error: error.replaceAll(/\d+/g, '#') };
}

const blamed = needs('async context where unhandled errors are handled');

const handlerSets = [
  [],
  ['unhandledRejection'],
  ['late unhandledRejection'],
  ['uncaughtException'],
  ['unhandledRejection', 'uncaughtException'],
];

describe.each(['rejection', 'exception'])('an unhandled %s in a scope', (broken) => {
  blamed.each(
    handlerSets.map((handlers) => [handlers.join(' and ') || 'no handler', handlers] as const),
  )('with %s ends the process under the guard just as without it', async (_, handlers) => {
    const [guarded, unguarded] = await Promise.all([
      outcome({ guard: true, broken, handlers }),
      outcome({ guard: false, broken, handlers }),
    ]);
    expect(guarded.code).toBe(unguarded.code);
    expect(guarded.signal).toBe(unguarded.signal);
    expect(guarded.error).toBe(unguarded.error);
    const survives = unguarded.code === 0;
    const aborted = 'aborted while held: true';
    const rejected = 'withLock rejected: ERR_LOCK_LOST / on purpose / free: true';
    expect(guarded.out.includes(aborted)).toBe(true);
    expect(guarded.out.includes(rejected)).toBe(survives);
    expect(unguarded.out.includes('aborted')).toBe(false);
  });
});

blamed.each(['strict', 'warn', 'none', 'throw', 'warn-with-error-codes'])(
  'an unhandled rejection under --unhandled-rejections=%s ends as without the guard',
  async (mode) => {
    const flags = [`--unhandled-rejections=${mode}`];
    const [guarded, unguarded] = await Promise.all([
      outcome({ guard: true, broken: 'rejection', handlers: [] }, flags),
      outcome({ guard: false, broken: 'rejection', handlers: [] }, flags),
    ]);
    expect(guarded.code).toBe(unguarded.code);
    expect(guarded.error).toBe(unguarded.error);
  },
);

test('guardProcess() returns a function that leaves no listener behind', () => {
  const counts = () =>
    ['unhandledRejection', 'uncaughtExceptionMonitor', 'newListener', 'removeListener'].map(
      (event) => process.listenerCount(event),
    );
  const before = counts();
  const undo = guardProcess();
  expect(counts()).not.toEqual(before);
  undo();
  expect(counts()).toEqual(before);
});

test('guardProcess() refuses a grace that is no time', () => {
  expect(() => guardProcess({ grace: -1 })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
  );
});
