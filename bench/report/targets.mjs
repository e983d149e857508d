// What holdfast set out to reach, each with what was measured in the same run. Nothing passes or fails here.
import { floorId, isOurs } from '../lib/peers.mjs';
import { summarize } from '../lib/stats.mjs';
import { formatNumber, ratioTo } from './table.mjs';

const ours = 'holdfast';
const oursBare = 'holdfast-no-record';

/** Access to the figures of one run by scenario, case, peer and metric; null wherever there is none. */
class Figures {
  constructor(results) {
    this.scenarios = results.scenarios;
    this.peers = results.peers;
  }

  entries(scenario, id) {
    return this.scenarios[scenario]?.cases.find((one) => one.id === id)?.entries ?? {};
  }

  value(scenario, id, peer, key) {
    const metric = summarize(this.entries(scenario, id)[peer]?.rounds ?? [])[key];
    return metric?.median ?? metric?.text ?? null;
  }

  ratio(scenario, id, peer, key, floorKey) {
    const entries = this.entries(scenario, id);
    return entries[peer] ? ratioTo(entries[peer], key, entries[floorId], floorKey) : null;
  }

  /** The best of the peers that `accept` lets through; `better` is 1 for "more is better" and -1 for "less is". */
  best(scenario, id, key, better, accept = () => true) {
    let best = null;
    for (const { id: peer, name } of this.peers.filter((one) => !isOurs(one.id) && accept(one))) {
      const value = this.value(scenario, id, peer, key);
      if (typeof value !== 'number') continue;
      if (best === null || (value - best.value) * better > 0) best = { name, value };
    }
    return best;
  }
}

const times = (/** @type {number | null} */ value) =>
  value === null ? null : `${formatNumber(value)} x`;

const compared = (value, best, unit) =>
  typeof value !== 'number' || best === null
    ? null
    : `${formatNumber(value)} ${unit} (${best.name}: ${formatNumber(best.value)} ${unit}; ${formatNumber(value / best.value)} x)`;

/** A peer that lost an update or had two holders is no measure of how fast a lock can be. */
const excludes = (figures, scenario, id) => (peer) =>
  figures.value(scenario, id, peer.id, 'lost') === 0 &&
  figures.value(scenario, id, peer.id, 'overlaps') === 0;

const waitsItself = (peer) => !peer.polledByUser;

/** @returns {{ what: string, target: string, measured: string | null }[]} */
export function targetsOf(results) {
  const figures = new Figures(results);
  const { value, ratio, best } = Object.fromEntries(
    ['value', 'ratio', 'best'].map((method) => [method, figures[method].bind(figures)]),
  );
  const sound = excludes(figures, 'contended', '8-tight');
  const excludesTasks = (peer) => value('many-tasks', '1000', peer.id, 'exclusion') === 'yes';
  const alone = ['uncontended', 'all'];
  const fight = ['contended', '8-tight'];
  const idle = ['hand-over', 'idle'];
  const apart = ['hand-over', 'apart'];
  const together = ['hand-over', 'together'];
  const tasks = ['many-tasks', '1000'];
  const withUnit = (figure, unit) =>
    typeof figure === 'number' ? `${formatNumber(figure)} ${unit}` : figure;
  return [
    {
      what: 'tryLock + release, no record, against the C floor',
      target: 'at most 1.25 x (first 1.5 x)',
      measured: times(ratio(...alone, oursBare, 'sync1', 'sync1')),
    },
    {
      what: 'tryLock + release, no record, against the best synchronous peer',
      target: 'faster',
      measured: compared(value(...alone, oursBare, 'sync1'), best(...alone, 'sync1', -1), 'µs'),
    },
    {
      what: 'tryLock + release with record, against the C floor with record',
      target: 'none set',
      measured: times(ratio(...alone, ours, 'sync1', 'record1')),
    },
    {
      what: 'await lock() + release, no record, against the C floor',
      target: 'at most 2.5 x',
      measured: times(ratio(...alone, oursBare, 'async1', 'sync1')),
    },
    {
      what: 'await lock() + release with record, against the best peer that waits by itself',
      target: 'at most 0.1 x',
      measured: compared(
        value(...alone, ours, 'async1'),
        best(...alone, 'async1', -1, waitsItself),
        'µs',
      ),
    },
    {
      what: 'withLock with record, against the C floor',
      target: 'at most 4 x',
      measured: times(ratio(...alone, ours, 'withLock1', 'sync1')),
    },
    {
      what: 'withLock with record, against the C floor with record',
      target: 'at most 1.3 x',
      measured: times(ratio(...alone, ours, 'withLock1', 'record1')),
    },
    {
      what: 'hand-over p50, against two C processes',
      target: 'at most 4 x',
      measured: times(ratio(...idle, ours, 'p50', 'p50')),
    },
    {
      what: 'the same, each process on a core of its own',
      target: 'at most 4 x',
      measured: times(ratio(...apart, ours, 'p50', 'p50')),
    },
    {
      what: 'the same, both processes on one core',
      target: 'at most 4 x',
      measured: times(ratio(...together, ours, 'p50', 'p50')),
    },
    {
      what: 'hand-over p50, against the best peer',
      target: 'at most 0.5 x',
      measured: compared(value(...idle, ours, 'p50'), best(...idle, 'p50', -1), 'µs'),
    },
    {
      what: 'hand-over p99, against the best peer',
      target: 'below it',
      measured: compared(value(...idle, ours, 'p99'), best(...idle, 'p99', -1), 'µs'),
    },
    {
      what: '8 processes: throughput, against the best peer that excludes',
      target: 'at least 1 x',
      measured: compared(
        value(...fight, ours, 'perSecond'),
        best(...fight, 'perSecond', 1, sound),
        '/s',
      ),
    },
    {
      what: '8 processes: fairness, least / most',
      target: 'at least 0.9',
      measured: withUnit(value(...fight, ours, 'fairness'), ''),
    },
    {
      what: '8 processes: longest wait, against the best peer that excludes',
      target: 'below it',
      measured: compared(value(...fight, ours, 'max'), best(...fight, 'max', -1, sound), 'ms'),
    },
    {
      what: '8 processes: lost updates',
      target: 'none',
      measured: withUnit(value(...fight, ours, 'lost'), ''),
    },
    {
      what: '1,000 tasks on one lock, each',
      target: 'at most 5 µs',
      measured: withUnit(value(...tasks, ours, 'us'), 'µs'),
    },
    {
      what: '1,000 tasks on one lock, against the best peer that excludes',
      target: 'at most 0.05 x',
      measured: compared(
        value(...tasks, ours, 'us'),
        best(...tasks, 'us', -1, excludesTasks),
        'µs',
      ),
    },
    {
      what: 'waiting: system calls',
      target: 'none',
      measured: withUnit(value('waiting', 'one', ours, 'calls'), ''),
    },
    {
      what: 'waiting: CPU',
      target: 'none',
      measured: withUnit(value('waiting', 'one', ours, 'cpuUs'), 'µs'),
    },
    {
      what: 'slowest readFile beside 64 waiters, against none',
      target: 'not slowed',
      measured: compared(
        value('read-file', '64', ours, 'max'),
        { name: 'no lock', value: value('read-file', '64', 'none', 'max') },
        'ms',
      ),
    },
    {
      what: '10,000 locks held: resident memory for each',
      target: 'at most 1,500 bytes',
      measured: withUnit(value('many-locks', 'held', ours, 'residentBytes'), 'bytes'),
    },
  ].map((entry) => ({
    ...entry,
    measured: typeof entry.measured === 'string' ? entry.measured.trim() : entry.measured,
  }));
}

export function printTargets(results) {
  const measured = targetsOf(results).filter((entry) => entry.measured !== null);
  if (measured.length === 0) return;
  console.log('\nTargets');
  for (const { what, target, measured: figure } of measured)
    console.log(`  ${what}: target ${target}, measured ${figure}`);
}
