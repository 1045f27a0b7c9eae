import { type ContractTest, contractTests } from './contract.ts';
import { breakTests } from './network-breaks.ts';
import { addressTests, reconnectTests, unaryTests } from './network-calls.ts';
import { type NetworkUnderTest, type Scenario, Stage } from './network-stage.ts';
import { bidiTests, serverStreamTests } from './network-streams.ts';

export type { NetworkUnderTest } from './network-stage.ts';

/**
 * What every {@link Network} has to do. Nothing relies on real time, so that a simulated network can do it as well.
 *
 * ```ts
 * for (const { title, run } of networkContract(makeNetworks)) test(title, run);
 * ```
 */
export function networkContract(make: () => Promise<NetworkUnderTest>): ContractTest[] {
  return contractTests(make, (test) => {
    const scenario: Scenario = (title, play) =>
      test(title, async (subject) => {
        const stage = new Stage(subject);
        await subject.run(async () => {
          try {
            await play(stage);
          } finally {
            await stage.close();
          }
        });
      });
    addressTests(scenario);
    unaryTests(scenario);
    reconnectTests(scenario);
    serverStreamTests(scenario);
    bidiTests(scenario);
    breakTests(scenario);
  });
}
