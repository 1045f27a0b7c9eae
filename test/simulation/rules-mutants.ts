import { LogContext } from '../../framework/smr/log-context.ts';
import { Rules } from '../../framework/smr/rules.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';

/** Ways to take rules for others than those in force, each for everybody until what it returns is called. */
export const RULES_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'old code goes on under rules that it does not know': () =>
    replace(Rules.prototype, 'raise', function (this: { now: number; newest: number }, to) {
      if (to <= this.newest) this.now = Math.max(this.now, to);
    } as Rules['raise']),
  'new code goes by new rules before they are in force': () => {
    const { prototype } = LogContext;
    const inForce = Object.getOwnPropertyDescriptor(prototype, 'rules')!;
    const newest = function (this: { ruleSet: { newest: number } }): number {
      return this.ruleSet.newest;
    };
    Object.defineProperty(prototype, 'rules', { configurable: true, get: newest });
    return () => Object.defineProperty(prototype, 'rules', inForce);
  },
  'a snapshot forgets the rules': () => {
    const { restore } = Rules.prototype;
    return replace(Rules.prototype, 'restore', function (this: Rules) {
      restore.call(this, 1);
    });
  },
};
