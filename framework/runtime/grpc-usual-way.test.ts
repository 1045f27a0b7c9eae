import { type NetworkUnderTest, networkContract } from '../testing/contracts/index.ts';
import { freeAddresses } from '../testing/free-addresses.ts';
import { realClock } from './clock.ts';
import { GrpcNetwork } from './grpc-network.ts';

// As if the insides of grpc-js had changed.
jest.mock('./grpc-shortcut.ts', () => ({ clientShortcut: () => undefined }));
jest.mock('./stream-taker.ts', () => ({
  StreamTaker: class {
    add(): void {}
    remove(): void {}
  },
}));

describe('gRPC keeps the contract of all networks where there is no way past grpc-js', () => {
  const make = async (): Promise<NetworkUnderTest> => {
    const network = new GrpcNetwork();
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
});
