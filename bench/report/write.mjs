// Writes report.md and the plots from the results of a run; run by itself it does so again from results.json.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { plotSvg } from './plot.mjs';
import { formatNumber, tableOf } from './table.mjs';
import { targetsOf } from './targets.mjs';

const markdownTable = (
  /** @type {string[]} */ header,
  /** @type {string[][]} */ rows,
  align = '---',
) =>
  [header, header.map((_, i) => (i ? align : '---')), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');

function machineSection({ machine, measured, minutes, mode }) {
  return [
    `Measured ${measured.slice(0, 10)}, ${mode} run of ${formatNumber(minutes)} minutes, on ${machine.cpu}, ` +
      `${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.kernel}, ${machine.fileSystem}, Node.js ` +
      `${machine.node}, ${machine.compiler}, ${machine.flock}. Load average at the start: ${formatNumber(machine.loadAverage)}.`,
    'Every peer is measured in turn, A B C, A B C; figures are medians over the rounds, ± is half of the span between ' +
      'the least and the greatest round, and × is the multiple of the C floor of the same round. Absolute figures ' +
      'belong to this machine; the ratios carry further.',
  ].join('\n\n');
}

function peerSection({ peers, failed }) {
  const rows = peers.map(({ name, version, mechanism, waits, polledByUser }) => [
    name,
    version ?? '–',
    mechanism,
    polledByUser ? `${waits}, in a loop of the user's` : waits,
  ]);
  const table = markdownTable(['peer', 'version', 'lock', 'how it waits'], rows);
  return [table, ...failed.map(({ id, reason }) => `${id}: ${reason}`)].join('\n\n');
}

function targetSection(results) {
  const rows = targetsOf(results).map(({ what, target, measured }) => [
    what,
    target,
    measured ?? 'not measured',
  ]);
  return markdownTable(['what', 'target', 'measured'], rows);
}

function scenarioSection(name, scenario, peers, folder) {
  const parts = [`## ${scenario.title}`, `\`${name}\`: ${scenario.about}`];
  for (const spec of scenario.plots) {
    const oneCase = scenario.cases.find(({ id }) => id === spec.case);
    const svg = oneCase && plotSvg(spec, scenario, oneCase, peers);
    if (!svg) continue;
    const file = `plots/${name}-${spec.case}-${spec.column}.svg`;
    writeFileSync(new URL(file, folder), `${svg}\n`);
    parts.push(`![${spec.title}](${file})`);
  }
  for (const oneCase of scenario.cases) {
    const { header, rows } = tableOf(scenario, oneCase, peers);
    parts.push(`### ${oneCase.title}`, markdownTable(header, rows, '---:'));
  }
  return parts.join('\n\n');
}

/**
 * @param {object} results  what results.json holds
 * @param {URL} folder
 */
export async function writeReport(results, folder) {
  rmSync(new URL('plots/', folder), { recursive: true, force: true });
  mkdirSync(new URL('plots/', folder), { recursive: true });
  const sections = [
    '# holdfast and its peers, measured',
    'Written by `npm run bench`; the raw figures are in [results.json](results.json), what was learned from them in ' +
      '`NOTES.md`.',
    machineSection(results),
    '## Targets',
    targetSection(results),
    '## Peers',
    peerSection(results),
    ...Object.entries(results.scenarios).map(([name, scenario]) =>
      scenarioSection(name, scenario, results.peers, folder),
    ),
  ];
  writeFileSync(new URL('report.md', folder), `${sections.join('\n\n')}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const folder = new URL('../', import.meta.url);
  await writeReport(JSON.parse(readFileSync(new URL('results.json', folder), 'utf8')), folder);
}
