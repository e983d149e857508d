import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { Actor } from './helpers/actor.js';
import { temporaryResource } from './helpers/folder.js';
import { needs } from './helpers/needs.js';
import { startModule } from './helpers/program.js';

const program = fileURLToPath(new URL('./fixtures/guarded.mjs', import.meta.url));
const entry = new URL('../dist/index.js', import.meta.url).href;

interface Settings {
  guards: number;
  grace?: number;
  broken: string;
  handlers: string[];
  /** Whether the scope ends by itself when its signal aborts. */
  finishes?: boolean;
  /** Whether it breaks in a nested scope. */
  nests?: boolean;
  /** How long to wait for the loss of the lock before the process ends, in ms. */
  patience?: number;
}

async function outcome(settings: Settings, flags: string[] = [], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(
    process.execPath,
    [...flags, program, JSON.stringify(settings), temporaryResource()],
    { env: { ...process.env, HOLDFAST_ENTRY: entry, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const [out, error, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code, signal, out, error: error.replaceAll(/\d+/g, '#') };
}

/** Runs the same process with the guard and without, and checks that it ends in the same way. */
async function compare(
  settings: Omit<Settings, 'guards'> & { guards?: number },
  ...how: [flags?: string[], env?: NodeJS.ProcessEnv]
) {
  const [guarded, unguarded] = await Promise.all([
    outcome({ guards: 1, grace: 30, ...settings }, ...how),
    outcome({ ...settings, guards: 0 }, ...how),
  ]);
  const { code, signal, error } = unguarded;
  expect(guarded).toMatchObject({ code, signal, error });
  expect(unguarded.out).not.toContain('aborted');
  return { out: guarded.out, survived: code === 0 };
}

const blamed = needs('async context where unhandled errors are handled');

const aborted = 'aborted while held: true';
const lost = 'withLock rejected: ERR_LOCK_LOST / on purpose\ngrace was left: true / free: true';

const handlerSets = [
  [],
  ['unhandledRejection'],
  ['late unhandledRejection'],
  ['removed unhandledRejection'],
  ['uncaughtException'],
  ['unhandledRejection', 'uncaughtException'],
];
const named = handlerSets.map(
  (handlers) => [handlers.join(' and ') || 'no handler', handlers] as const,
);

describe.each(['rejection', 'exception'])('an unhandled %s in a scope', (broken) => {
  blamed.each(named)(
    'with %s ends the process under the guard just as without it',
    async (_, handlers) => {
      const { out, survived } = await compare({ broken, handlers });
      expect(out).toContain(aborted);
      expect(out.includes(lost)).toBe(survived);
    },
  );
});

describe.each(['strict', 'warn', 'none', 'throw', 'warn-with-error-code'])(
  'an unhandled rejection under --unhandled-rejections=%s',
  (mode) => {
    blamed.each(named)(
      'with %s ends the process under the guard just as without it',
      async (_, handlers) => {
        // Here a listener would change the exit code, and nothing else tells of the rejection.
        const unseen =
          mode === 'warn-with-error-code' && !/^(late )?unhandled/.test(handlers[0] ?? '');
        const { out, survived } = await compare(
          { broken: 'rejection', handlers, ...(unseen && { patience: 200 }) },
          [`--unhandled-rejections=${mode}`],
        );
        expect(out.includes(aborted)).toBe(!unseen);
        expect(out.includes(lost)).toBe(survived && !unseen);
      },
    );
  },
);

blamed.each([
  ['warn', 'throw'],
  ['throw', 'warn'],
])(
  'NODE_OPTIONS with %s and a command line with %s change nothing either',
  async (weak, strong) => {
    await compare({ broken: 'rejection', handlers: [] }, ['--unhandled_rejections', strong], {
      NODE_OPTIONS: `--unhandled-rejections=${weak}`,
    });
  },
);

blamed('two guards do not take each other for the handler that somebody removed', async () => {
  const { survived } = await compare({
    guards: 2,
    broken: 'rejection',
    handlers: ['removed unhandledRejection'],
  });
  expect(survived).toBe(false);
});

blamed.each(['a bare object', 'an error that throws'])(
  'a rejection with %s, which has no text, is survived as without the guard',
  async (what) => {
    const { out, survived } = await compare({
      broken: `rejection with ${what}`,
      handlers: ['unhandledRejection'],
    });
    expect(survived).toBe(true);
    expect(out).toContain('ERR_LOCK_LOST');
  },
);

blamed('a scope that ends within the grace keeps its result', async () => {
  const handlers = ['unhandledRejection'];
  const { out } = await outcome({ guards: 1, broken: 'rejection', handlers, finishes: true });
  expect(out).toContain('withLock resolved: finished');
});

blamed('the grace is a second where nothing else was said', async () => {
  const { out } = await outcome({
    guards: 1,
    broken: 'exception',
    handlers: ['uncaughtException'],
  });
  expect(out).toContain(lost);
});

blamed('an endless grace only aborts the signal', async () => {
  const handlers = ['uncaughtException'];
  const { out, error } = await outcome({
    guards: 1,
    grace: 1e12,
    broken: 'exception',
    handlers,
    patience: 200,
  });
  expect(out).toContain(`${aborted}\nexception handler`);
  expect(out).toContain('nothing happened to the scope');
  expect(error).toBe('');
});

blamed('an error of an inner scope that has ended is one of the outer scope', async () => {
  const { out } = await compare({
    broken: 'exception in an inner scope that has ended',
    handlers: ['uncaughtException'],
  });
  expect(out).toContain(aborted);
  expect(out).toContain(lost);
});

blamed('a nested scope that breaks is told, and loses the lock with the outer one', async () => {
  const { out } = await compare({
    broken: 'exception',
    handlers: ['uncaughtException'],
    nests: true,
  });
  expect(out).toContain(aborted);
  expect(out).toContain(lost);
});

blamed(
  'all that nest in a broken scope are told, whatever the first of them does then',
  async () => {
    const actor = await Actor.start();
    const told = await actor.run(({ holdfast }, resource) => {
      const names: string[] = [];
      holdfast.guardProcess({ grace: 60_000 });
      process.once('uncaughtException', () => {});
      return holdfast.withLock(resource, async (outer) => {
        const inner = await holdfast.lock(resource, { reentrant: true });
        outer.signal.onabort = () => {
          names.push('outer');
          outer.release();
        };
        inner.signal.onabort = () => names.push('inner');
        setTimeout(() => {
          throw new Error('on purpose');
        });
        while (names.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        inner.release();
        return names;
      });
    }, temporaryResource());
    expect(told).toEqual(['outer', 'inner']);
  },
);

blamed('who nests in a scope that is broken already is told, too', async () => {
  const actor = await Actor.start();
  const told = await actor.run(({ holdfast }, resource) => {
    holdfast.guardProcess({ grace: 60_000 });
    process.once('uncaughtException', () => {});
    return holdfast.withLock(resource, async (outer) => {
      setTimeout(() => {
        throw new Error('on purpose');
      });
      await new Promise((resolve) => outer.signal.addEventListener('abort', resolve));
      const inner = await holdfast.lock(resource, { reentrant: true });
      return inner.signal.reason?.code;
    });
  }, temporaryResource());
  expect(told).toBe('ERR_LOCK_LOST');
});

// Of several graces the shortest counts; where all are endless, nobody ends it.
blamed.each([
  [[200], 'ERR_LOCK_LOST\ntrue true\n'],
  [[200, 1e12], 'ERR_LOCK_LOST\ntrue true\n'],
  [[1e12], 'EDEADLK\n'],
])(
  'who waits for a broken scope in an idle process is told after graces of %j what becomes of it',
  async (graces, told) => {
    const program = startModule(
      `const { guardProcess, lock, withLock } = await import(process.env.HOLDFAST_ENTRY);
    const resource = process.argv.at(-1);
    process.on('uncaughtException', () => {});
    for (const grace of ${JSON.stringify(graces)}) guardProcess({ grace });
    // Reachable, so that no collection can free it.
    withLock(resource, (held) => new Promise(() => {
      globalThis.held = held;
      setTimeout(() => { throw new Error('on purpose'); });
    })).catch(({ code }) => console.log(code));
    const next = lock(resource).then(
      ({ held, previousHolder }) => console.log(held, previousHolder?.pid === process.pid),
      ({ code }) => console.log(code),
    );`,
      temporaryResource(),
    );
    const { code, stdout } = await program.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: told });
  },
);

blamed('a grace that is left when a broken scope has ended keeps no process alive', async () => {
  const program = startModule(
    `const { guardProcess, withLock } = await import(process.env.HOLDFAST_ENTRY);
    process.on('uncaughtException', () => {});
    guardProcess({ grace: 3_600_000 });
    await withLock(process.argv.at(-1), ({ signal }) => new Promise((resolve) => {
      signal.onabort = resolve;
      setTimeout(() => { throw new Error('on purpose'); });
    }));
    console.log('ended');`,
    temporaryResource(),
  );
  const { code, stdout } = await program.ended;
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'ended\n' });
});
