// A holder in one process and waiters in another: how several scenarios begin.
import { Worker } from './children.mjs';
import { createResources } from './resources.mjs';

/** @type {import('./scenario.mjs').Scenario['roles']} */
export const waitingRoles = {
  async holder({ peer, params, channel }) {
    const ballast = params.megabytes ? Buffer.alloc(params.megabytes * 2 ** 20, 1) : null;
    const release = await peer.acquire(params.path);
    channel.send('held');
    await channel.receive('release');
    await release();
    return ballast?.length;
  },
};

/**
 * Starts a process that holds the lock.
 * @param {string} scenario
 * @param {import('./peers.mjs').Peer} peer
 * @param {string} dir
 * @param {number} limitMs
 * @param {object} [params]
 */
export async function startHolder(scenario, peer, dir, limitMs, params = {}) {
  const [path] = createResources(dir, 1);
  const holder = new Worker({
    scenario,
    role: 'holder',
    adapter: peer.id,
    params: { path, ...params },
    limitMs,
  });
  try {
    await holder.receive('held');
  } catch (error) {
    holder.kill();
    throw error;
  }
  return { path, holder };
}
