import { JsonSchemaError, unusable } from './errors.js';

/** What a schema says against a value. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

/** What a validation gives: the value, or what is wrong with it. */
export type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/**
 * A schema of any library that follows Standard Schema (https://standardschema.dev), such as zod,
 * valibot and arktype: the part of that interface that is needed here.
 */
export interface StandardSchema<T> {
  readonly '~standard': {
    readonly version: 1;
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
  };
}

/** Throws for what `validate` could not use. */
export function assertSchema(schema: StandardSchema<unknown> | undefined): void {
  if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function') {
    throw unusable('schema must be one of a library that follows Standard Schema');
  }
}

/** The value as the schema gives it; without a schema it is believed. */
export async function validate<T>(
  schema: StandardSchema<T> | undefined,
  value: unknown,
  path: string,
  where: 'holds' | 'would get',
): Promise<T> {
  if (schema === undefined) return value as T;
  const result = await schema['~standard'].validate(value);
  if (result.issues !== undefined) throw new JsonSchemaError(path, result.issues, where);
  return result.value;
}
