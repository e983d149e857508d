// Takes the peers through a scenario in turn: A B C, A B C and so on, so that what else the machine does meets them all.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { printTable } from '../report/table.mjs';
import { baselineId, floorId } from './peers.mjs';

/**
 * @typedef {{ rounds: import('./scenario.mjs').Metrics[], reason?: string }} Entry  reason: why there are no more rounds
 */

/** Everyone who takes part: the C floor and the bare process first, then the peers. */
function participantsOf(scenario, peers) {
  const invited = peers.filter(({ scenarios }) => !scenarios || scenarios.includes(scenario.name));
  const participants = invited.map((peer) => ({
    id: peer.id,
    skip: (params, earlier) => scenario.skip?.(peer, params, earlier) ?? null,
    measure: (context) => scenario.measure({ peer, ...context }),
  }));
  const never = () => null;
  if (scenario.baseline)
    participants.unshift({ id: baselineId, skip: never, measure: scenario.baseline });
  if (scenario.floor) participants.unshift({ id: floorId, skip: never, measure: scenario.floor });
  return participants;
}

async function measureOnce(participant, params, { programs, options }, entry, earlier) {
  if (entry.reason) return;
  entry.reason = participant.skip(params, earlier) ?? undefined;
  if (entry.reason) return;
  const dir = mkdtempSync(join(options.dir, 'files-'));
  try {
    const metrics = await participant.measure({ params, programs, dir });
    entry.rounds.push(metrics);
    earlier.push(metrics);
  } catch (error) {
    entry.reason = `failed: ${error.message.split('\n')[0].replaceAll(`${dir}/`, '')}`;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * @param {import('./scenario.mjs').Scenario} scenario
 * @param {{ peers: import('./peers.mjs').Peer[], programs: import('./programs.mjs').Programs, options: { quick?: boolean, rounds?: string, dir: string } }} setting
 */
export async function runScenario(scenario, setting) {
  const full = !setting.options.quick;
  const rounds = Number(setting.options.rounds ?? scenario.rounds(full));
  const participants = participantsOf(scenario, setting.peers);
  const earlier = new Map(participants.map(({ id }) => [id, []]));
  const cases = [];
  for (const { id, title, params, fullOnly = false } of scenario.cases(full)) {
    if (fullOnly && !full) continue;
    /** @type {Record<string, Entry>} */
    const entries = Object.fromEntries(
      participants.map((participant) => [participant.id, { rounds: [] }]),
    );
    const measure = (participant) =>
      measureOnce(
        participant,
        params,
        setting,
        entries[participant.id],
        earlier.get(participant.id),
      );
    for (let round = 0; round < rounds; round++) {
      if (scenario.together) await Promise.all(participants.map(measure));
      else for (const participant of participants) await measure(participant);
    }
    cases.push({ id, title, entries });
    printTable(scenario, { title, entries }, setting.peers);
  }
  const { title, about, columns, plots = [] } = scenario;
  return { title, about, columns, plots, rounds, cases };
}
