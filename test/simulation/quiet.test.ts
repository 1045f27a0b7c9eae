import { Backoff } from '../../framework/base/index.ts';
import { describeScenario } from './describe-scenario.ts';
import { planted, replace } from './planted-defect.ts';
import { BROKEN_WAYS, quietScenario } from './quiet-scenario.ts';

describeScenario('clients wait for a cluster of which something is broken for good', {
  holds: 'nobody spins, and all goes on once that is mended',
  scenario: quietScenario,
  seeds: BROKEN_WAYS,
  broken: planted(
    { 'nobody waits between tries': () => replace(Backoff.prototype, 'nextMs', () => 0) },
    quietScenario,
  ),
});
