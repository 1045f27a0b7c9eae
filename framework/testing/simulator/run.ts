import { checkNames, type OptionNames, VarlogError } from '../../base/index.ts';

/** What a scenario tells of its run. */
export interface RunReport {
  /** {@link Trace.hash} of the world. */
  traceHash: string;
  /** How much virtual time has passed. */
  simulatedMs: number;
}

export interface RunSeedsOptions {
  /** Called with each seed; a rejection is a failure of that seed. */
  scenario: (seed: number) => Promise<RunReport>;
  /** How many seeds to run. */
  seeds: number;
  /** The first of them. Default 1. */
  firstSeed?: number;
  /** Share of the seeds that are run twice, to see that both runs do the same. Default 0.01. */
  checkShare?: number;
  /** How to run one seed again, for people. */
  command?: (seed: number) => string;
  print?: (line: string) => void;
}

const NAMES: OptionNames<RunSeedsOptions> = {
  scenario: true,
  seeds: true,
  firstSeed: true,
  checkShare: true,
  command: true,
  print: true,
};

export interface SeedFailure {
  readonly seed: number;
  readonly error: unknown;
}

/**
 * Runs a scenario with one seed after the other and prints how it goes. Returns the failures:
 * violations, runs that got stuck, promises that were rejected unheard, and seeds that did not do the
 * same twice.
 */
export async function runSeeds(options: RunSeedsOptions): Promise<SeedFailure[]> {
  checkNames(options, NAMES, 'runSeeds');
  const { scenario, seeds, firstSeed = 1, checkShare = 0.01 } = options;
  const print = options.print ?? ((line: string) => console.log(line));
  const failures: SeedFailure[] = [];
  const checkEvery = checkShare > 0 ? Math.max(1, Math.round(1 / checkShare)) : Infinity;
  const startMs = performance.now();
  let simulatedMs = 0;
  let printedMs = startMs;
  for (let i = 0; i < seeds; i++) {
    const seed = firstSeed + i;
    try {
      const report = await heard(() => scenario(seed));
      simulatedMs += report.simulatedMs;
      if (i % checkEvery === 0) same(report, await heard(() => scenario(seed)));
    } catch (error) {
      failures.push({ seed, error });
      print(`seed ${seed} failed: ${error instanceof Error ? error.stack : String(error)}`);
      if (options.command !== undefined) print(`run it again with: ${options.command(seed)}`);
    }
    if (performance.now() - printedMs < 10_000 && i < seeds - 1) continue;
    printedMs = performance.now();
    const rate = simulatedMs / Math.max(1, printedMs - startMs);
    print(
      `${i + 1} of ${seeds} seeds, ${failures.length} failed, ${rate.toFixed(1)} simulated seconds per second`,
    );
  }
  return failures;
}

function same(first: RunReport, second: RunReport): void {
  if (first.traceHash === second.traceHash) return;
  throw new VarlogError('INVARIANT', {
    what: `two runs of the same seed differ: ${first.traceHash} and ${second.traceHash}`,
    because: 'something enters that is not a port, or state is shared between runs',
  });
}

/** Runs it, and fails when a promise was rejected meanwhile that nobody listened to. */
async function heard(run: () => Promise<RunReport>): Promise<RunReport> {
  const unheard: unknown[] = [];
  const note = (reason: unknown): void => void unheard.push(reason);
  process.on('unhandledRejection', note);
  try {
    const report = await run();
    if (unheard.length > 0) throw unheard[0];
    return report;
  } finally {
    process.off('unhandledRejection', note);
  }
}
