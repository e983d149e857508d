import { expect } from 'vitest';
import { needs } from './helpers/needs.js';
import { slowness } from './helpers/slowness.js';

interface Told {
  leak: string;
  tokenOfA: bigint;
  tokenOfB: bigint;
  waitedMs: number;
  old: { message: string } | undefined;
  late: { code: string } | undefined;
  aLives: boolean;
}

type LeakStory = (log: (line: string) => void) => Promise<{ told: Told[]; session: string[] }>;

const module: string = '../demo/leak-story.mjs';

// Its sessions nest.
const hooked = needs('async hooks of promises');

hooked(
  'a process that leaks its session and lives on delays others by no more than the lease',
  {
    timeout: 60_000 * slowness,
  },
  async () => {
    const { tellLeakStory }: { tellLeakStory: LeakStory } = await import(module);
    const lines: string[] = [];
    const { told, session } = await tellLeakStory((line) => lines.push(line));

    expect(told.map(({ leak }) => leak)).toEqual([
      'callback never settles',
      'cleanup throws before release',
      'event loop is blocked',
    ]);
    for (const { tokenOfA, tokenOfB, waitedMs, old, late, aLives } of told) {
      expect(aLives).toBe(true);
      expect(old?.message).toMatch(/^session file locked \(timeout 1000ms\): pid=\d+ .*\.lock$/);
      expect(waitedMs).toBeLessThan(2_500 * slowness);
      expect(tokenOfB).toBeGreaterThan(tokenOfA);
      expect(late).toMatchObject({ code: 'ERR_LOCK_EXPIRED' });
    }
    expect(session).toEqual([
      'A, before its callback hung',
      'B, after A: callback never settles',
      'A, before its cleanup threw',
      'B, after A: cleanup throws before release',
      'A, before its event loop was blocked',
      'B, after A: event loop is blocked',
    ]);
    expect(lines.join('\n')).toMatch(/chat\.jsonl\.flock +exclusive +\d+ .*A: reply/);
    expect(lines.join('\n')).toMatch(/chat\.jsonl\.flock +exclusive +\d+ .*B: next message/);
  },
);
