import { parseArgs } from 'node:util';
import { printable } from '../printable.js';

/** An option of a command: what parseArgs needs, and its line in the help. */
export interface Flag {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  /** What stands for the value in the help. */
  readonly value?: string;
  readonly help: string;
}

export type Flags = Readonly<Record<string, Flag>>;

/** One of the subcommands. */
export interface Command {
  /** What follows the command's name, one line for each form. */
  readonly synopsis: readonly string[];
  readonly about: string;
  readonly flags: Flags;
  readonly notes?: string;
  /** Answers the exit code. */
  run(args: string[]): Promise<number>;
}

/** The command line cannot be used; the exit code is 64. */
export class UsageError extends Error {}

/** The command line asks for the command's help. */
export class HelpWanted extends Error {}

/** A command line, taken apart. */
export interface Parsed<T extends Flags> {
  values: { [Name in keyof T]?: T[Name]['type'] extends 'boolean' ? boolean : string };
  positionals: string[];
}

const helpFlag = { help: { type: 'boolean', short: 'h', help: 'show this help' } } as const;

/** Takes a command line apart by a command's flags; throws `UsageError` or `HelpWanted`. */
export function parse<T extends Flags>(flags: T, args: string[]): Parsed<T> {
  const options = { ...flags, ...helpFlag };
  const { values, positionals } = attempt(() =>
    parseArgs({ args, options, allowPositionals: true }),
  );
  if ((values as { help?: boolean }).help) throw new HelpWanted();
  return { values: values as Parsed<T>['values'], positionals };
}

/**
 * Takes a command line apart whose first plain argument starts somebody else's command line.
 *
 * @returns the own flags, and the rest from that argument on.
 */
export function parseLeading<T extends Flags>(
  flags: T,
  args: string[],
): Parsed<T> & { rest: string[] } {
  const options = { ...flags, ...helpFlag };
  const { tokens } = parseArgs({ args, options, strict: false, tokens: true });
  const first = tokens.find(({ kind }) => kind !== 'option')?.index ?? args.length;
  return { ...parse(flags, args.slice(0, first)), rest: args.slice(first) };
}

function attempt<T>(parsing: () => T): T {
  try {
    return parsing();
  } catch (error) {
    // Its advice to put the option behind two dashes would make it a FILE here.
    const { message } = error as Error;
    throw new UsageError(
      message.replace(/\. To specify a positional argument .*/s, ': see --help'),
    );
  }
}

/** A number of seconds, given as text, in ms. */
export function toMilliseconds(flag: string, text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds < 0) {
    throw new UsageError(`--${flag} must be a number of seconds, not '${text}'`);
  }
  return seconds * 1000;
}

/** The help of a command. */
export function helpOf(name: string, command: Command): string {
  const lines = Object.entries<Flag>({ ...command.flags, ...helpFlag }).map(
    ([long, { short, value, help }]): [string, string] => [
      `  ${short === undefined ? '    ' : `-${short}, `}--${long}${value === undefined ? '' : ` ${value}`}`,
      help,
    ],
  );
  const width = Math.max(0, ...lines.map(([left]) => left.length));
  return [
    ...command.synopsis.map(
      (form, i) => `${i === 0 ? 'usage:' : '      '} holdfast ${name} ${form}`,
    ),
    '',
    command.about,
    '',
    ...lines.map(([left, right]) => `${left.padEnd(width)}  ${right}`),
    ...(command.notes === undefined ? [] : ['', command.notes]),
    '',
  ].join('\n');
}

/** Says on stderr, in one line, what went wrong. */
export function complain(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`holdfast: ${printable(message.replace(/\s+/g, ' ').trim())}\n`);
}
