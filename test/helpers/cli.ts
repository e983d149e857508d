import { type SpawnOptions, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';
import { type Program, start } from './program.js';

/** The file that the command `holdfast` is. */
export const cliPath = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Starts `holdfast` with these arguments. */
export function holdfast(...args: string[]): Program {
  return holdfastWith({}, ...args);
}

/** As `holdfast`, in another folder or as another user. */
export function holdfastWith(options: SpawnOptions, ...args: string[]): Program {
  return start(process.execPath, [cliPath, ...args], options);
}

const terminals = new Set<Terminal>();

/** A real terminal with a program in it, and a server of its own: a shared one may be ending just now. */
export class Terminal {
  readonly #session = `holdfast-${process.pid}-${Math.random().toString(36).slice(2)}`;
  readonly #socket = join(tmpdir(), `${this.#session}.tmux`);

  constructor(folder: string, columns = 120, rows = 12) {
    const size = ['-x', String(columns), '-y', String(rows)];
    terminals.add(this);
    this.#tmux('new-session', '-d', '-s', this.#session, ...size, '-c', folder, 'sh');
  }

  #tmux(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync('tmux', ['-S', this.#socket, ...args], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`tmux ${args[0]}: ${stderr}`);
    return stdout;
  }

  /** Types a command line that runs `holdfast` with these arguments. */
  run(...args: string[]): void {
    this.runRedirected('', ...args);
  }

  /** As `run`, with such redirections at its end. */
  runRedirected(redirections: string, ...args: string[]): void {
    const words = [process.execPath, cliPath, ...args].map((word) => `'${word}'`);
    this.type(`${words.join(' ')} ${redirections}`);
  }

  /** Types a line for the shell. */
  type(line: string): void {
    this.#tmux('send-keys', '-t', this.#session, '-l', line);
    this.press('Enter');
  }

  /** Waits until the screen has such a text. */
  async shows(text: RegExp): Promise<void> {
    while (!text.test(this.screen)) await sleep(20);
  }

  /** Presses a key, by tmux's name for it. */
  press(key: string): void {
    this.#tmux('send-keys', '-t', this.#session, key);
  }

  resize(columns: number, rows: number): void {
    const size = ['-x', String(columns), '-y', String(rows)];
    this.#tmux('resize-window', '-t', this.#session, ...size);
  }

  /** What is on the screen. */
  get screen(): string {
    return this.#tmux('capture-pane', '-p', '-t', this.#session);
  }

  /** As `screen`, with the escape codes for colours. */
  get colouredScreen(): string {
    return this.#tmux('capture-pane', '-p', '-e', '-t', this.#session);
  }

  /** Whether a full-screen program has a screen of its own. */
  get alternate(): boolean {
    return this.#has('alternate_on');
  }

  /** Whether the cursor is shown. */
  get cursor(): boolean {
    return this.#has('cursor_flag');
  }

  #has(flag: string): boolean {
    const format = `#{${flag}}`;
    return this.#tmux('display-message', '-p', '-t', this.#session, format).trim() === '1';
  }

  close(): void {
    spawnSync('tmux', ['-S', this.#socket, 'kill-server']);
    rmSync(this.#socket, { force: true });
  }
}

afterEach(() => {
  for (const terminal of terminals) terminal.close();
  terminals.clear();
});
