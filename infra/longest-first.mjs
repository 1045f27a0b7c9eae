import Sequencer from '@jest/test-sequencer';

const isLong = ({ path }) => /[\\/]test[\\/](simulation|process|integration)[\\/]/.test(path);

/**
 * The order in which Jest runs the files of tests: whole clusters first, simulated ones, which compute, in turns with
 * processes, which wait. By size alone simulations would come last, for their files are small, and run long after the
 * others have ended.
 */
export default class LongestFirst extends Sequencer {
  sort(tests) {
    const inOrder = super.sort(tests);
    const long = inOrder.filter(isLong);
    const simulated = long.filter(({ path }) => path.includes('simulation'));
    const real = long.filter((it) => !simulated.includes(it));
    const inTurns = [];
    while (simulated.length + real.length > 0)
      inTurns.push(...simulated.splice(0, 1), ...real.splice(0, 2));
    return [...inTurns, ...inOrder.filter((it) => !isLong(it))];
  }
}
