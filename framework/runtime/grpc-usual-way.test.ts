import { GrpcNetwork } from './grpc-network.ts';
import { keepsContract } from './keeps-contract.fixture.ts';

// As if the insides of grpc-js had changed.
jest.mock('./grpc-shortcut.ts', () => ({ clientShortcut: () => undefined }));
jest.mock('./stream-taker.ts', () => ({
  StreamTaker: class {
    add(): void {}
    remove(): void {}
  },
}));

describe('gRPC keeps the contract of all networks where there is no way past grpc-js', () => {
  keepsContract(() => new GrpcNetwork());
});
