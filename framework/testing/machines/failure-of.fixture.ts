import { VarlogError } from '../../base/index.ts';

/** The error by which a run is refused, or finds a defect. Rejects where it ends without one. */
export async function failureOf(run: Promise<unknown>): Promise<VarlogError> {
  const error = await run.then(
    () => undefined,
    (it: unknown) => it,
  );
  if (VarlogError.is(error)) return error;
  throw new Error(`it was not found: ${error}`);
}
