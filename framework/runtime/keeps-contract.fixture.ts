import { type NetworkUnderTest, networkContract } from '../testing/contracts/index.ts';
import { freeAddresses } from '../testing/free-addresses.ts';
import { realClock } from './clock.ts';
import type { GrpcNetwork } from './grpc-network.ts';

/** Tests that networks which `makeNetwork` gives keep the contract of all networks. */
export function keepsContract(makeNetwork: () => GrpcNetwork): void {
  const make = async (): Promise<NetworkUnderTest> => {
    const network = makeNetwork();
    const [deadAddress] = await freeAddresses(1);
    return {
      clock: realClock(),
      serverSide: network,
      clientSide: network,
      address: '127.0.0.1:0',
      deadAddress: deadAddress!,
      run: (scenario) => scenario(),
      close: async () => {},
    };
  };
  for (const { title, run } of networkContract(make)) test(title, run);
}
