// The child process of a measurement: plays the role of the scenario that its argument names.
import { loadAdapter } from './peers.mjs';

const { scenario, role, adapter, params } = JSON.parse(process.argv[2]);

// The run that started us is gone.
process.once('disconnect', () => process.exit());

/** @type {Map<string, unknown[]>} */
const unread = new Map();
/** @type {Map<string, (value: unknown) => void>} */
const readers = new Map();

process.on('message', ({ type, value }) => {
  const reader = readers.get(type);
  readers.delete(type);
  if (reader) reader(value);
  else unread.set(type, [...(unread.get(type) ?? []), value]);
});

const channel = {
  send: (/** @type {string} */ type, /** @type {unknown} */ value) => process.send({ type, value }),
  receive: (/** @type {string} */ type) => {
    const values = unread.get(type);
    if (values?.length) return Promise.resolve(values.shift());
    return new Promise((resolve) => readers.set(type, resolve));
  },
};

/** @typedef {typeof channel} Channel */

const fail = (/** @type {unknown} */ error) =>
  process.send({ type: 'failed', value: String(error?.message ?? error).split('\n')[0] });
process.on('unhandledRejection', fail);

try {
  const [{ default: definition }, peer] = await Promise.all([
    import(`../scenarios/${scenario}.mjs`),
    adapter ? loadAdapter(adapter) : null,
  ]);
  const result = await definition.roles[role]({ peer, params, channel });
  process.send({ type: 'result', value: result });
} catch (error) {
  fail(error);
}
