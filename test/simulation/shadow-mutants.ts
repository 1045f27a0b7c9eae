import { MachinePair } from '../../framework/smr/machine-pair.ts';
import { ReplayedMachine } from '../../framework/smr/replayed-machine.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';

/** Ways for shadows to overlook a difference or to name another place, each for everybody until what it returns is called. */
export const SHADOW_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'a shadow does not compare states': () => {
    const { take } = MachinePair.prototype;
    return replace(MachinePair.prototype, 'take', function (this: MachinePair, next) {
      return take.call(this, next, Number.POSITIVE_INFINITY);
    });
  },
  'a shadow names the position of before': () => {
    const { take } = MachinePair.prototype;
    return replace(MachinePair.prototype, 'take', async function (this: MachinePair, ...given) {
      const before = this.position;
      await Reflect.apply(take, this, given);
      if (this.difference !== undefined) this.difference = { ...this.difference, position: before };
    });
  },
  'the new version of a shadow begins with nothing': () =>
    replace(ReplayedMachine.prototype, 'handOver', function (
      this: { range: Parameters<typeof ReplayedMachine.open>[1] },
      definition,
    ) {
      return ReplayedMachine.open(definition, this.range);
    } as ReplayedMachine['handOver']),
};
