/**
 * The interface that libraries of schemas have in common (https://standardschema.dev), as far as it is used here. A
 * schema of zod, valibot or arktype is one as it is.
 */
export interface StandardSchema<In = unknown, Out = In> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>;
    /** Only for the compiler. */
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
  };
}

type SchemaResult<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** As many of what a schema finds wrong are told. */
const ISSUES_SHOWN = 3;

/** `value` as the schema puts it out. Throws for what it does not take, and for a schema that waits. */
export function checkedBy<In, Out>(schema: StandardSchema<In, Out>, value: unknown): Out {
  const result = schema['~standard'].validate(value);
  if (result instanceof Promise) {
    result.catch(() => {});
    throw new TypeError(
      `its schema (of ${schema['~standard'].vendor}) has asynchronous checks, and records are checked at once`,
    );
  }
  if (result.issues === undefined) return result.value;
  const { issues } = result;
  const shown = issues.slice(0, ISSUES_SHOWN).map(sentenceOf);
  if (issues.length > ISSUES_SHOWN) shown.push(`${issues.length - ISSUES_SHOWN} more`);
  throw new TypeError(`it does not fit its schema: ${shown.join('; ')}`);
}

function sentenceOf({ message, path = [] }: SchemaIssue): string {
  const names = path.map((it) => String(typeof it === 'object' ? it.key : it));
  return names.length === 0 ? message : `${names.join('.')}: ${message}`;
}
