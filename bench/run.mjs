// npm run bench: every scenario, for every peer in turn, and the report.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { killAll } from './lib/children.mjs';
import { describeMachine } from './lib/machine.mjs';
import { loadPeers } from './lib/peers.mjs';
import { compilePrograms } from './lib/programs.mjs';
import { runScenario } from './lib/rounds.mjs';
import { printTargets } from './report/targets.mjs';
import { writeReport } from './report/write.mjs';

const usage = `npm run bench -- [--quick] [--only=SCENARIO] [--peer=NAME] [--rounds=N] [--dir=DIRECTORY]
  --quick   short measurements, one round: shows that everything works, not how fast it is
  --only    scenarios whose file name begins so; may be given more than once
  --peer    peers whose adapter file name begins so; may be given more than once
  --rounds  so many rounds of each measurement
  --dir     where the locked files are: on the file system to measure; the folder for temporary files otherwise`;

const scenarioFiles = [
  'start-up',
  'uncontended',
  'contended',
  'hand-over',
  'waiting',
  'read-file',
  'killed-holder',
  'leaked-holder',
  'many-locks',
  'many-tasks',
  'event-loop',
];

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      peer: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      dir: { type: 'string', default: os.tmpdir() },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.rounds !== undefined && !(Number(values.rounds) >= 1))
    throw new Error('--rounds takes a number from 1');
  return values;
}

async function main() {
  const options = readOptions();
  if (options.help) return console.log(usage);
  const chosen = scenarioFiles.filter(
    (name) => !options.only.length || options.only.some((start) => name.startsWith(start)),
  );
  if (chosen.length === 0)
    throw new Error(`no such scenario; there are ${scenarioFiles.join(', ')}`);
  const { peers, failed } = await loadPeers(options.peer);
  if (peers.length + failed.length === 0) throw new Error('no such peer');
  for (const { id, reason } of failed) console.log(`${id}: ${reason}`);

  const started = Date.now();
  const machine = describeMachine(options.dir);
  const programs = await compilePrograms();
  options.dir = mkdtempSync(join(options.dir, 'bench-'));
  process.once('exit', () => rmSync(options.dir, { recursive: true, force: true }));
  const scenarios = {};
  for (const name of chosen) {
    const { default: scenario } = await import(`./scenarios/${name}.mjs`);
    const from = Date.now();
    scenarios[name] = await runScenario(scenario, { peers, programs, options });
    console.log(`(${name}: ${((Date.now() - from) / 1000).toFixed(0)} s)`);
  }

  const results = {
    measured: new Date(started).toISOString(),
    minutes: (Date.now() - started) / 60_000,
    mode: options.quick ? 'quick' : 'full',
    machine,
    peers: peers.map(({ id, name, version, mechanism, waits, polledByUser = false }) => ({
      id,
      name,
      version,
      mechanism,
      waits,
      polledByUser,
    })),
    failed,
    scenarios,
  };
  printTargets(results);

  // Only a whole run replaces the report that the README links to.
  const whole = !options.quick && !options.only.length && !options.peer.length;
  const folder = new URL(whole ? './' : 'build/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL('results.json', folder), `${JSON.stringify(results, null, 1)}\n`);
  await writeReport(results, folder);
  console.log(`\nbench/${whole ? '' : 'build/'}report.md, plots/ and results.json written`);
}

process.once('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));

try {
  await main();
} catch (error) {
  console.error(error.message);
  if (error.code?.startsWith('ERR_PARSE_ARGS')) console.error(usage);
  process.exitCode = 1;
}
