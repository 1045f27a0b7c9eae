import { ByteBalance } from '../../framework/log/core/byte-balance.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';

/** Ways to even out bytes wrongly, each in one place; what they return mends it. */
export const BYTES_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'more may move than half of the difference': () =>
    replace(ByteBalance.prototype, 'isWorth', (_, gain) => gain > 0),
  'bytes are not looked at': () => replace(ByteBalance.prototype, 'isUneven', () => false),
};
