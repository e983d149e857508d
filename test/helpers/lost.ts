import { once } from 'node:events';

/** The reason why a lock was lost, once it is; on a busy machine it may be already. */
export async function lost(signal: AbortSignal): Promise<unknown> {
  if (!signal.aborted) await once(signal, 'abort');
  return signal.reason;
}
