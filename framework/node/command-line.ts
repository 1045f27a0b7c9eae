import { Command, CommanderError } from 'commander';
import { Varlog } from '../log/index.ts';
import type { Cli } from './commands/cli-context.ts';
import { addClusterCommands } from './commands/cluster.ts';
import { addDiagnosisCommands } from './commands/diagnosis.ts';
import { addRecordCommands } from './commands/records.ts';
import { addRestoreCommand } from './commands/restore.ts';
import { addTopicCommands } from './commands/topics.ts';
import { exitCodeOf } from './exit-code.ts';
import { makeOutput } from './output.ts';

const USAGE_ERROR = 2;

/** The `varlog` command. Sets the process's exit code: see exit-code.ts. */
export async function runCli(argv: readonly string[]): Promise<void> {
  const program = new Command('varlog')
    .description('a replicated, totally ordered log')
    .option('--endpoints <addresses>', 'host:port,… of any nodes (VARLOG_URL)')
    .option('--json', 'one JSON value a line, for programs')
    .showHelpAfterError()
    .exitOverride()
    // So that `varlog up --json` and `varlog --json up` mean the same.
    .configureHelp({ showGlobalOptions: true });
  const cli = makeCli(program);
  addClusterCommands(program, cli);
  addRecordCommands(program, cli);
  addTopicCommands(program, cli);
  addDiagnosisCommands(program, cli);
  addRestoreCommand(program, cli);
  acceptGlobalOptionsEverywhere(program);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : USAGE_ERROR;
  }
}

function makeCli(program: Command): Cli {
  const globals = (): { endpoints?: string; json?: boolean } => collectOptions(program);
  const cli: Cli = {
    run: async (work) => {
      const output = makeOutput(globals().json === true, {
        out: (line) => process.stdout.write(`${line}\n`),
        err: (line) => process.stderr.write(`${line}\n`),
      });
      try {
        await work(output);
      } catch (error) {
        output.error(error);
        process.exitCode = exitCodeOf(error);
        leaveParent();
      }
    },
    ask: async (question) => {
      const endpoints = globals().endpoints ?? process.env['VARLOG_URL'] ?? '127.0.0.1:9092';
      const varlog = await Varlog.connect({ endpoints: endpoints.split(',') });
      try {
        return await question(varlog);
      } finally {
        await varlog.close();
      }
    },
    withClient: (work) => cli.run((output) => cli.ask((varlog) => work(varlog, output))),
    stopSignal: () =>
      new Promise((resolve) => {
        const stop = (): void => {
          leaveParent();
          resolve();
        };
        for (const event of ['SIGINT', 'SIGTERM', 'disconnect']) process.once(event, stop);
      }),
    interrupted: () => {
      const controller = new AbortController();
      process.once('SIGINT', () => controller.abort());
      process.once('SIGTERM', () => controller.abort());
      return controller.signal;
    },
  };
  return cli;
}

/** The channel to the process that started this one would keep it alive. */
function leaveParent(): void {
  if (process.connected) process.disconnect();
}

/** Options given before or behind the command's name. */
function collectOptions(program: Command): { endpoints?: string; json?: boolean } {
  const found: Record<string, unknown> = { ...program.opts() };
  const visit = (command: Command): void => {
    for (const name of ['endpoints', 'json']) {
      const value: unknown = command.opts()[name];
      if (value !== undefined) found[name] = value;
    }
    command.commands.forEach(visit);
  };
  visit(program);
  return found;
}

function acceptGlobalOptionsEverywhere(program: Command): void {
  const visit = (command: Command): void => {
    if (command.commands.length === 0) {
      command.option('--endpoints <addresses>', 'host:port,… of any nodes (VARLOG_URL)');
      command.option('--json', 'one JSON value a line, for programs');
    }
    command.exitOverride().commands.forEach(visit);
  };
  program.commands.forEach(visit);
}
