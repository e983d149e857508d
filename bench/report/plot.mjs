// One metric of all peers as horizontal bars, an SVG that stands on its own.
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { baselineId, floorId, isOurs } from '../lib/peers.mjs';
import { summarize } from '../lib/stats.mjs';
import { formatNumber, nameOf } from './table.mjs';

const ink = '#212529';
const colours = { ours: '#0b7285', reference: '#868e96', peer: '#ced4da', unsound: '#ffffff' };

const colourOf = (/** @type {string} */ id) =>
  isOurs(id)
    ? colours.ours
    : id === floorId || id === baselineId
      ? colours.reference
      : colours.peer;

const isSound = (/** @type {import('../lib/scenario.mjs').PlotSpec} */ spec, summary) =>
  Object.entries(spec.sound ?? {}).every(
    ([key, expected]) => (summary[key]?.max ?? summary[key]?.text) === expected,
  );

/**
 * A bar for each peer, the best first; those without a figure follow with the reason in its place.
 * @param {import('../lib/scenario.mjs').PlotSpec} spec
 */
function barsOf(spec, oneCase, peers) {
  const bars = Object.entries(oneCase.entries).map(([id, { rounds, reason }]) => {
    const name = nameOf(id, peers);
    const summary = summarize(rounds);
    const metric = summary[spec.column];
    const drawable = metric?.median !== undefined && (!spec.log || metric.min > 0);
    if (!drawable) return { name, label: metric?.text ?? reason ?? 'not offered' };
    const sound = isSound(spec, summary);
    const label = formatNumber(metric.median) + (sound ? '' : ', does not exclude');
    return { name, label, colour: sound ? colourOf(id) : colours.unsound, ...metric };
  });
  const direction = spec.more ? -1 : 1;
  return bars.sort(
    (a, b) =>
      ((a.median ?? Infinity) - (b.median ?? Infinity)) * (a.median && b.median ? direction : 1),
  );
}

/** Powers of ten, and their halves-of-the-way where there would be too few. */
function logTicks(/** @type {number} */ lowest, /** @type {number} */ highest) {
  const decades = Math.ceil(Math.log10(highest / lowest));
  const steps = decades <= 2 ? [1, 2, 5] : [1];
  const first = Math.floor(Math.log10(lowest));
  return Array.from({ length: decades + 2 }, (_, i) =>
    steps.map((step) => step * 10 ** (first + i)),
  )
    .flat()
    .filter((tick) => tick >= lowest && tick <= highest);
}

/**
 * @param {import('../lib/scenario.mjs').PlotSpec} spec
 * @param {{ columns: import('../lib/scenario.mjs').Column[] }} scenario
 * @param {{ entries: Record<string, import('../lib/rounds.mjs').Entry> }} oneCase
 * @param {{ id: string, name: string }[]} peers
 * @returns {string | null}  the SVG; null when nobody has a figure
 */
export function plotSvg(spec, scenario, oneCase, peers) {
  const rows = barsOf(spec, oneCase, peers);
  const bars = rows.filter((row) => row.median !== undefined);
  if (bars.length === 0) return null;
  const { unit } = scenario.columns.find(({ key }) => key === spec.column);
  const lowest = Math.min(...bars.map((bar) => bar.min));
  const highest = Math.max(...bars.map((bar) => bar.max));
  // A logarithmic bar has to begin somewhere: at the power of ten below the least value.
  const origin = spec.log ? 10 ** Math.floor(Math.log10(lowest * 0.99)) : 0;
  const { document } = parseHTML('<html><body></body></html>');
  const svg = Plot.plot({
    document,
    width: 860,
    height: 90 + rows.length * 24,
    marginLeft: 200,
    marginRight: 150,
    marginTop: 44,
    marginBottom: 42,
    style: { fontFamily: 'system-ui, sans-serif', fontSize: '12px', color: ink },
    x: {
      type: spec.log ? 'log' : 'linear',
      domain: [origin, highest],
      grid: true,
      label: [unit, spec.log && 'logarithmic'].filter(Boolean).join(', ') || null,
      labelAnchor: 'center',
      labelArrow: 'none',
      ticks: spec.log ? logTicks(origin, highest) : 6,
      tickFormat: (value) => value.toLocaleString('en'),
    },
    y: { label: null, domain: rows.map(({ name }) => name), tickSize: 0, padding: 0.25 },
    marks: [
      Plot.barX(bars, { x1: origin, x2: 'median', y: 'name', fill: 'colour' }),
      Plot.barX(
        bars.filter(({ colour }) => colour === colours.unsound),
        {
          x1: origin,
          x2: 'median',
          y: 'name',
          fill: 'none',
          stroke: colours.reference,
          strokeDasharray: '3 2',
        },
      ),
      Plot.ruleY(bars, { x1: 'min', x2: 'max', y: 'name', stroke: ink, strokeWidth: 1.2 }),
      Plot.text(rows, {
        x: (row) => row.max ?? origin,
        y: 'name',
        text: 'label',
        fill: (row) => (row.median === undefined ? colours.reference : ink),
        textAnchor: 'start',
        dx: 6,
      }),
      Plot.text([spec.title], {
        frameAnchor: 'top-left',
        dx: -190,
        dy: -34,
        fontSize: 15,
        fontWeight: 600,
      }),
    ],
  });
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return withBackground(svg.outerHTML);
}

// A page with a dark theme shows through an SVG without one.
const withBackground = (/** @type {string} */ svg) =>
  svg.replace('</style>', '</style><rect width="100%" height="100%" fill="white"/>');
