import { parseArgs } from 'node:util';
import { runSeeds } from '../../framework/testing/index.ts';
import { clusterScenario } from './cluster-scenario.ts';

/** `npm run simulate -- --seeds N [--seed FIRST]`: the whole cluster, seed by seed. */
const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' } },
});
const failures = await runSeeds({
  scenario: clusterScenario,
  seeds: Number(values.seeds),
  firstSeed: Number(values.seed),
  command: (seed) => `npm run simulate -- --seeds 1 --seed ${seed}`,
});
console.log(`${Number(values.seeds) - failures.length} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
