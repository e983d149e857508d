// One metric of all peers as horizontal bars, an SVG that stands on its own.
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { floorId, isOurs } from '../lib/peers.mjs';
import { summarize } from '../lib/stats.mjs';
import { formatNumber, nameOf } from './table.mjs';

const colours = { ours: '#0b7285', floor: '#868e96', peer: '#ced4da' };

const colourOf = (/** @type {string} */ id) =>
  isOurs(id) ? colours.ours : id === floorId ? colours.floor : colours.peer;

/** @param {import('../lib/scenario.mjs').PlotSpec} spec */
function barsOf(spec, oneCase, peers) {
  return Object.entries(oneCase.entries).flatMap(([id, { rounds }]) => {
    const metric = summarize(rounds)[spec.column];
    if (metric?.median === undefined) return [];
    return [{ name: nameOf(id, peers), colour: colourOf(id), ...metric }];
  });
}

/**
 * @param {import('../lib/scenario.mjs').PlotSpec} spec
 * @param {{ columns: import('../lib/scenario.mjs').Column[] }} scenario
 * @param {{ entries: Record<string, import('../lib/rounds.mjs').Entry> }} oneCase
 * @param {{ id: string, name: string }[]} peers
 * @returns {string | null}  the SVG; null when nobody has a figure
 */
export function plotSvg(spec, scenario, oneCase, peers) {
  const bars = barsOf(spec, oneCase, peers).filter((bar) => !spec.log || bar.min > 0);
  if (bars.length === 0) return null;
  const column = scenario.columns.find(({ key }) => key === spec.column);
  const { document } = parseHTML('<html><body></body></html>');
  const lowest = Math.min(...bars.map((bar) => bar.min));
  const highest = Math.max(...bars.map((bar) => bar.max));
  // Bars of a logarithmic scale begin somewhere: at the power of ten below the least value.
  const origin = spec.log ? 10 ** Math.floor(Math.log10(lowest * 0.99)) : 0;
  const svg = Plot.plot({
    document,
    width: 860,
    height: 70 + bars.length * 24,
    marginLeft: 190,
    marginRight: 90,
    marginTop: 44,
    style: { fontFamily: 'system-ui, sans-serif', fontSize: '12px', background: 'white', color: '#212529' },
    x: {
      type: spec.log ? 'log' : 'linear',
      domain: [origin, highest],
      grid: true,
      label: column.unit ? `${column.unit}${spec.log ? ', logarithmic' : ''}` : spec.log ? 'logarithmic' : null,
      labelAnchor: 'right',
      ticks: spec.log ? 5 : undefined,
      tickFormat: (value) => value.toLocaleString('en'),
    },
    y: { label: null, domain: bars.map(({ name }) => name), tickSize: 0, padding: 0.25 },
    marks: [
      Plot.barX(bars, { x1: origin, x2: 'median', y: 'name', fill: 'colour' }),
      Plot.ruleY(bars, { x1: 'min', x2: 'max', y: 'name', stroke: '#212529', strokeWidth: 1.2 }),
      Plot.text(bars, {
        x: 'max',
        y: 'name',
        text: (bar) => formatNumber(bar.median),
        textAnchor: 'start',
        dx: 6,
      }),
      Plot.text([spec.title], { frameAnchor: 'top-left', dx: -180, dy: -34, fontSize: 15, fontWeight: 600 }),
    ],
  });
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return withBackground(svg.outerHTML);
}

// A page with a dark theme shows through an SVG without one.
const withBackground = (/** @type {string} */ svg) => svg.replace('</style>', '</style><rect width="100%" height="100%" fill="white"/>');
