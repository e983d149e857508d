// What a scenario file exports, and what it is given.

/**
 * @typedef {Record<string, unknown>} Params  each scenario's own: no two are alike
 *
 * @typedef {Record<string, number | string | null>} Metrics  one round; null where it does not apply
 *
 * @typedef {object} Case
 * @property {string} id
 * @property {string} title
 * @property {Params} params
 * @property {boolean} [fullOnly]  left out of a quick run
 *
 * @typedef {object} Column
 * @property {string} key  of the metric
 * @property {string} title
 * @property {string} [unit]
 * @property {string} [floor]  the metric of the C floor whose multiple is shown beside it
 * @property {boolean} [hidden]  kept in the raw results only
 *
 * @typedef {object} PlotSpec
 * @property {string} case
 * @property {string} column
 * @property {string} title
 * @property {boolean} [log]
 * @property {boolean} [more]  more is better
 * @property {Record<string, number | string>} [sound]  what these metrics are where the lock excludes
 *
 * @typedef {object} Context
 * @property {import('./peers.mjs').Peer} peer
 * @property {Params} params  those of the case
 * @property {string} dir  empty, of this measurement alone
 * @property {import('./programs.mjs').Programs} programs
 *
 * @typedef {object} RoleContext  in a child process
 * @property {import('./peers.mjs').Adapter} peer
 * @property {Params} params
 * @property {import('./worker.mjs').Channel} channel
 *
 * @typedef {object} Scenario
 * @property {string} name
 * @property {string} title
 * @property {string} about  what is done and what is counted, for the report
 * @property {(full: boolean) => Case[]} cases
 * @property {(full: boolean) => number} rounds
 * @property {boolean} [together]  costs no CPU time worth speaking of: all peers are measured at once
 * @property {Column[]} columns
 * @property {PlotSpec[]} [plots]
 * @property {(peer: import('./peers.mjs').Peer, params: Params, earlier: Metrics[]) => string | null} [skip]  why this peer sits out
 * @property {(context: Context) => Promise<Metrics>} measure
 * @property {(context: Omit<Context, 'peer'>) => Promise<Metrics>} [floor]  the same in C
 * @property {(context: Omit<Context, 'peer'>) => Promise<Metrics>} [baseline]  the same without any lock
 * @property {Record<string, (context: RoleContext) => Promise<unknown>>} roles
 */

export {};
