// What the players of the soak write down, each line at once: they may be killed at any moment.
import { appendFileSync } from 'node:fs';
import process from 'node:process';

/** A log of holds, with times that all processes share. */
export function logTo(path) {
  let last = 0;
  const write = (entry) => appendFileSync(path, `${JSON.stringify(entry)}\n`);
  const now = () => process.hrtime.bigint();
  const nextId = () => `${process.pid}-${++last}`;
  const leave = (id) => write({ event: 'leave', id, at: String(now()) });

  /** Notes that a lock is held; returns what notes that it is about to be released. */
  const enter = ({ resource, token, mode }, fate, id = nextId(), at = now()) => {
    const entry = { resource, token: String(token), mode, fate, pid: process.pid };
    write({ event: 'enter', id, at: String(at), ...entry });
    return () => leave(id);
  };

  /** Notes that a lock is held at least until the lease that begins now has ended. */
  const enterLeased = (held, lease) => {
    const id = nextId();
    const began = now();
    // Throws when this process was away for so long that the first lease has ended already.
    held.renew(lease);
    // Referred to until then, or a collection might free it before.
    setTimeout((kept) => kept, lease, held);
    enter(held, 'leased', id, began);
    write({ event: 'leave', id, at: String(began + BigInt(lease) * 1_000_000n) });
  };

  const fail = ({ stack }) => write({ event: 'failed', message: stack });
  return { path, nextId, enter, enterLeased, leave, fail };
}
