export { JsonChangedError, JsonFileError, JsonSchemaError } from './errors.js';
export type { StoreLockOptions } from './guarded-file.js';
export { type Change, type JsonStore, type JsonStoreOptions, jsonStore } from './json-store.js';
export {
  type Compaction,
  type JsonlStore,
  type JsonlStoreOptions,
  jsonlStore,
} from './jsonl-store.js';
export type { StandardIssue, StandardResult, StandardSchema } from './standard-schema.js';
