import { VarlogError } from '../base/index.ts';

const NAME = /^[\w-]{1,200}$/;

/** Whether an object can have this name. */
export function isObjectName(name: string): boolean {
  return NAME.test(name);
}

/** Throws `INVALID_ARGUMENT` for a name that no object can have. */
export function checkObjectName(name: string): void {
  if (isObjectName(name)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `"${name}" cannot be the name of an object`,
    next: 'give 1 to 200 letters, digits, "-" and "_"',
  });
}
