import { formatUnknown } from '../base/index.ts';

/**
 * The number at which a layout without a version of its own begins: float64, little endian, never below 0. A later
 * version has the sign bit set there, which is the highest one of the last byte, and its version in the first byte.
 * Throws `FORMAT_UNKNOWN` for it; `what` and `path` name it in the error.
 */
export function leadingNumber(
  view: DataView,
  offset: number,
  { what, path }: { what: string; path: string },
): number {
  const marked = (view.getUint8(offset + 7) & 0x80) !== 0;
  if (!marked) return view.getFloat64(offset, true);
  const found = `version ${view.getUint8(offset)}`;
  throw formatUnknown({ what, path, found, reads: 'version 1' });
}
