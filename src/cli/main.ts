#!/usr/bin/env node
import { isUtf8 } from 'node:buffer';
import { existsSync, readFileSync } from 'node:fs';
import { type Command, complain, HelpWanted, helpOf, UsageError } from './command.js';
import { exitCode, exitCodeFor } from './exit-codes.js';

// Loaded on demand: `build` has to work where the native addon does not.
const commands: Readonly<Record<string, { about: string; load(): Promise<Command> }>> = {
  run: {
    about: 'run a command while a lock file is held, as flock(1) does',
    load: async () => (await import('./run.js')).run,
  },
  status: {
    about: 'show who holds lock files',
    load: async () => (await import('./status.js')).status,
  },
  prune: {
    about: 'remove lock files that nobody holds',
    load: async () => (await import('./prune.js')).prune,
  },
  doctor: {
    about: 'check whether locks work in a folder',
    load: async () => (await import('./doctor.js')).doctor,
  },
};

const sourceBuild = new URL('../../source/build.mjs', import.meta.url);

function help(): string {
  const listed = Object.entries(commands).map(([name, { about }]): [string, string] => [
    name,
    about,
  ]);
  if (existsSync(sourceBuild)) listed.push(['build', 'build the native addon from source']);
  return [
    'usage: holdfast COMMAND [OPTION...]',
    '       holdfast COMMAND --help',
    '       holdfast --version',
    '',
    ...listed.map(([name, about]) => `  ${name.padEnd(8)}${about}`),
    '',
  ].join('\n');
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

// Node has replaced what is not UTF-8: another file would be locked, and another command run.
function refuseLostBytes(args: string[]): void {
  const commandLine = '/proc/self/cmdline';
  if (!args.some((arg) => arg.includes('\ufffd')) || !existsSync(commandLine)) return;
  if (isUtf8(readFileSync(commandLine))) return;
  throw new UsageError('an argument is not UTF-8, and Node.js cannot tell what it was: rename it');
}

async function main([name, ...args]: string[]): Promise<number> {
  refuseLostBytes(args);
  if (name === '--version' || name === '-V') {
    process.stdout.write(`${version()}\n`);
    return exitCode.ok;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(help());
    return exitCode.ok;
  }
  if (name === 'build' && existsSync(sourceBuild)) {
    process.argv.splice(2, 1);
    await import(sourceBuild.href);
    return Number(process.exitCode ?? exitCode.ok);
  }
  const entry = name === undefined || !Object.hasOwn(commands, name) ? undefined : commands[name];
  if (name === undefined || entry === undefined) {
    throw new UsageError(
      `${name === undefined ? 'no command was given' : `there is no command '${name}'`}: see holdfast --help`,
    );
  }
  const command = await entry.load();
  try {
    return await command.run(args);
  } catch (error) {
    if (!(error instanceof HelpWanted)) throw error;
    process.stdout.write(helpOf(name, command));
    return exitCode.ok;
  }
}

// Whoever reads our output may have seen enough, as `head` does; or the disk is full that it goes to.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCode.ok);
  complain(error);
  process.exit(exitCode.ioError);
});

// Nobody is left to tell; the exit code still says it, and a COMMAND goes on under its lock.
process.stderr.on('error', () => {});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  complain(error);
  process.exitCode = error instanceof UsageError ? exitCode.usage : exitCodeFor(error);
}
