/** Rows by table. */
export type SqlState = Readonly<Record<string, readonly object[]>>;

/** States as bytes, to be compared and shown. */
export const sqlStates = {
  encode: (state: SqlState): Uint8Array => Buffer.from(JSON.stringify(state, spelled)),
  decode: (bytes: Uint8Array): SqlState => JSON.parse(Buffer.from(bytes).toString()) as SqlState,
};

/** SQLite knows infinity, which JSON takes for null. */
function spelled(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}
