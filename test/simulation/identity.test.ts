import { describeScenario } from './describe-scenario.ts';
import { IDENTITY_MUTANTS } from './identity-mutants.ts';
import { identityScenario } from './identity-scenario.ts';
import { planted } from './planted-defect.ts';

const broken = Object.entries(IDENTITY_MUTANTS).map(([name, { begin = () => () => {}, ports }]) =>
  planted({ [name]: begin }, (seed) => identityScenario(seed, ports)),
);

describeScenario('who is who', {
  holds: 'nobody is taken for somebody else',
  scenario: identityScenario,
  seeds: 2,
  broken: Object.assign({}, ...broken),
  shownBy: { 'a folder is taken for the one of whoever opens it': 2 },
});
