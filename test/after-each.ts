import { abandonRuns } from '../framework/testing/simulator/host-guard.ts';

// A simulation whose test took too long would go on beside the next ones, with their clock guarded.
afterEach(() => abandonRuns());
