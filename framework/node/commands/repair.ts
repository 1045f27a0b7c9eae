import type { Command } from 'commander';
import { sleep } from '../../base/index.ts';
import { realClock } from '../../runtime/index.ts';
import { atLeast, type Cli } from './cli-context.ts';
import { problemsOfLogStreams, sentenceOf } from './problems.ts';

const LOOK_EVERY_MS = 250;

/** `repair`: watches the cluster repair itself, and says what it did and what it cannot do. */
export function addRepairCommand(program: Command, cli: Cli): void {
  program
    .command('repair')
    .description('watch the cluster repair itself; says what was done and what needs a person')
    .option('--seconds <count>', 'how long to wait for what is under way', atLeast(1), 60)
    .action(({ seconds }: { seconds: number }) =>
      cli.withClient(async (varlog, output) => {
        const clock = realClock();
        const deadline = clock.now() + seconds * 1_000;
        const begun = new Map<string, string>();
        for (;;) {
          const problems = problemsOfLogStreams(await varlog.status());
          for (const problem of problems) {
            if (begun.get(problem.subject) === problem.what) continue;
            begun.set(problem.subject, problem.what);
            output.note(sentenceOf(problem));
          }
          for (const subject of begun.keys()) {
            if (problems.some((it) => it.subject === subject)) continue;
            begun.delete(subject);
            output.result({ subject, state: 'whole' }, `${subject}: whole again`);
          }
          if (problems.length === 0) {
            output.result({ whole: true }, 'every log stream has all of its copies');
            return;
          }
          if (clock.now() > deadline) {
            const left = problems.map(sentenceOf);
            output.result({ whole: false, left }, ['not repaired:', ...left].join('\n'));
            process.exitCode = 1;
            return;
          }
          await sleep(clock, LOOK_EVERY_MS);
        }
      }),
    );
}
