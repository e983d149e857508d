import { setTimeout as sleep } from 'node:timers/promises';
import { nowUs } from './clock.mjs';

/**
 * The start barrier of processes that run together: says that this one is ready and waits for the common moment.
 * @param {import('./worker.mjs').Channel} channel
 */
export async function startTogether(channel) {
  channel.send('ready');
  const startUs = await channel.receive('start');
  await sleep(Math.max(0, (startUs - nowUs()) / 1000 - 2));
  while (nowUs() < startUs);
  return startUs;
}
