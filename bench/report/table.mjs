// One case of a scenario as a table: rows are peers, cells the median over the rounds.
import { baselineId, floorId } from '../lib/peers.mjs';
import { median, summarize } from '../lib/stats.mjs';

export function formatNumber(/** @type {number} */ value) {
  if (!Number.isFinite(value)) return '–';
  const digits =
    Number.isInteger(value) || Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

export const nameOf = (
  /** @type {string} */ id,
  /** @type {{ id: string, name: string }[]} */ peers,
) =>
  ({ [floorId]: 'C floor', [baselineId]: 'no lock' })[id] ??
  peers.find((peer) => peer.id === id)?.name ??
  id;

/**
 * The multiple of the C floor: of each round the ratio to the floor of the same round, of those the median.
 * @param {{ rounds: import('../lib/scenario.mjs').Metrics[] }} entry
 * @param {string} key
 * @param {{ rounds: import('../lib/scenario.mjs').Metrics[] } | undefined} floor
 * @param {string} floorKey
 */
export function ratioTo(entry, key, floor, floorKey) {
  const ratios = entry.rounds
    .map(
      (round, i) =>
        Number(round[key] ?? Number.NaN) / Number(floor?.rounds[i]?.[floorKey] ?? Number.NaN),
    )
    .filter(Number.isFinite);
  return ratios.length ? median(ratios) : null;
}

function cell(column, entry, summary, floor) {
  const metric = summary[column.key];
  if (metric === undefined) return '–';
  if (metric.text !== undefined) return metric.text;
  const spread = metric.median ? (metric.max - metric.min) / 2 / Math.abs(metric.median) : 0;
  const parts = [formatNumber(metric.median)];
  if (spread >= 0.01) parts.push(`±${Math.round(spread * 100)}%`);
  const ratio =
    column.floor && entry !== floor ? ratioTo(entry, column.key, floor, column.floor) : null;
  if (ratio !== null) parts.push(`(${formatNumber(ratio)}×)`);
  return parts.join(' ');
}

/**
 * Header and rows as text. A peer without any figure has its reason in the first column.
 * @param {{ columns: import('../lib/scenario.mjs').Column[] }} scenario
 * @param {{ entries: Record<string, import('../lib/rounds.mjs').Entry> }} oneCase
 * @param {{ id: string, name: string }[]} peers
 */
export function tableOf(scenario, { entries }, peers) {
  const shown = scenario.columns.filter((column) => !column.hidden);
  const header = ['', ...shown.map(({ title, unit }) => (unit ? `${title}, ${unit}` : title))];
  const rows = Object.entries(entries).map(([id, entry]) => {
    const name = nameOf(id, peers);
    if (entry.rounds.length === 0)
      return [name, entry.reason ?? '–', ...shown.slice(1).map(() => '')];
    const summary = summarize(entry.rounds);
    return [name, ...shown.map((column) => cell(column, entry, summary, entries[floorId]))];
  });
  return { header, rows };
}

/** For the terminal, while the run goes on. */
export function printTable(scenario, oneCase, peers) {
  const { header, rows } = tableOf(scenario, oneCase, peers);
  // A reason may be long: it does not widen its column.
  const hasFigures = (row) => row.slice(2).some(Boolean) || header.length === 2;
  const widths = header.map((title, i) =>
    Math.max(
      title.length,
      ...rows.filter((row) => i === 0 || hasFigures(row)).map((row) => row[i].length),
    ),
  );
  const line = (row) =>
    row
      .map((text, i) => (i ? text.padStart(widths[i]) : text.padEnd(widths[i])))
      .join('  ')
      .trimEnd();
  console.log(`\n${scenario.title}: ${oneCase.title}`);
  console.log(line(header));
  for (const row of rows)
    console.log(hasFigures(row) ? line(row) : `${row[0].padEnd(widths[0])}  ${row[1]}`);
}
