import { breakTests } from './network-breaks.ts';
import { addressTests, reconnectTests, unaryTests } from './network-calls.ts';
import { type NetworkUnderTest, type Scenario, Stage } from './network-stage.ts';
import { bidiTests, serverStreamTests } from './network-streams.ts';

export type { NetworkUnderTest } from './network-stage.ts';

/**
 * Registers the tests that every {@link Network} has to pass. They rely on no real time, so that a
 * simulated network can pass them as well.
 */
export function networkContract(name: string, make: () => Promise<NetworkUnderTest>): void {
  describe(`${name} keeps the network contract`, () => {
    const scenario: Scenario = (title, play) => {
      test(title, async () => {
        const subject = await make();
        const stage = new Stage(subject);
        try {
          await subject.run(async () => {
            try {
              await play(stage);
            } finally {
              await stage.close();
            }
          });
        } finally {
          await subject.close();
        }
      });
    };
    addressTests(scenario);
    unaryTests(scenario);
    reconnectTests(scenario);
    serverStreamTests(scenario);
    bidiTests(scenario);
    breakTests(scenario);
  });
}
