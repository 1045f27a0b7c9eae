import { Command, CommanderError, type OutputConfiguration } from 'commander';
import { VarlogError } from '../base/index.ts';
import { LARGEST_RECORD_BYTES, Varlog } from '../log/index.ts';
import { interrupted, toldToEnd } from '../runtime/index.ts';
import { addCommands } from './command-modules.ts';
import type { Cli } from './commands/cli-context.ts';
import { exitCodeOf } from './exit-code.ts';
import { makeOutput } from './output.ts';
import { type TlsFiles, tlsFilesOf, tlsFromFiles } from './tls-files.ts';
import { tokensFromFile } from './token-file.ts';

const USAGE_ERROR = 2;

interface GlobalOptions extends TlsFiles {
  readonly endpoints?: string;
  readonly json?: boolean;
  readonly tokenFile?: string;
}

const GLOBAL_OPTIONS: readonly { name: keyof GlobalOptions; flags: string; help: string }[] = [
  {
    name: 'endpoints',
    flags: '--endpoints <addresses>',
    help: 'host:port,… of any nodes, or varlog://host:port,…/topic (VARLOG_URL)',
  },
  { name: 'json', flags: '--json', help: 'one JSON value a line, for programs' },
  {
    name: 'tlsCa',
    flags: '--tls-ca <file>',
    help: 'PEM of the authority to trust, where nodes use TLS (VARLOG_TLS_CA)',
  },
  {
    name: 'tlsCertificate',
    flags: '--tls-certificate <file>',
    help: 'PEM of the certificate to show, where nodes demand one (VARLOG_TLS_CERTIFICATE)',
  },
  { name: 'tlsKey', flags: '--tls-key <file>', help: 'PEM of its private key (VARLOG_TLS_KEY)' },
  {
    name: 'tokenFile',
    flags: '--token-file <file>',
    help: 'a file whose first line is the access token to show, where nodes ask for one (VARLOG_TOKEN_FILE)',
  },
];

/** The `varlog` command. Sets the process's exit code: see exit-code.ts. */
export async function runCli(argv: readonly string[]): Promise<void> {
  const program = new Command('varlog')
    .description('a replicated, totally ordered log')
    .exitOverride();
  const isForPrograms = argv.includes('--json');
  if (isForPrograms) program.configureOutput(USAGE_ERRORS_AS_JSON);
  addGlobalOptions(program);
  const cli = makeCli(program);
  await addCommands(program, cli, argv.slice(2));
  acceptGlobalOptionsEverywhere(program);
  if (!isForPrograms) hintAtHelp(program);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : USAGE_ERROR;
  }
}

/** What was called wrongly, for programs: as all other errors. */
const USAGE_ERRORS_AS_JSON: OutputConfiguration = {
  outputError: (text) => {
    const what = text
      .replace(/^error: /, '')
      .trim()
      .replace(/\.$/, '');
    const next = 'see the help of the command with --help';
    const output = makeOutput(true, {
      out: () => {},
      err: (line) => process.stderr.write(`${line}\n`),
    });
    output.error(new VarlogError('INVALID_ARGUMENT', { what, next }));
  },
};

/** The whole help would hide what was wrong. */
function hintAtHelp(program: Command): void {
  const visit = (command: Command, parents: string): void => {
    const name = `${parents}${command.name()}`;
    command.showHelpAfterError(`Usage: ${name} ${command.usage()}\nsee "${name} --help"`);
    for (const it of command.commands) visit(it, `${name} `);
  };
  visit(program, '');
}

function makeCli(program: Command): Cli {
  const globals = (): GlobalOptions => collectOptions(program);
  const written = watchOutput();
  const askCluster = async <T>(
    url: string | undefined,
    question: (varlog: Varlog) => Promise<T>,
  ): Promise<T> => {
    const endpoints = url ?? globals().endpoints ?? process.env['VARLOG_URL'] ?? '127.0.0.1:9092';
    const tls = tlsFromFiles({ ...tlsFilesOf(process.env), ...globals() });
    const [token] = tokensFromFile(globals().tokenFile ?? process.env['VARLOG_TOKEN_FILE']) ?? [];
    // How large a record may be is for the storage nodes to say.
    const appends = { recordBytesMax: LARGEST_RECORD_BYTES };
    const varlog = await Varlog.connect({ endpoints, tls, token, appends });
    try {
      return await question(varlog);
    } finally {
      await varlog.close();
    }
  };
  const cli: Cli = {
    run: async (work, tell = (error, output) => output.error(error)) => {
      const output = makeOutput(globals().json === true, {
        out: (data) => process.stdout.write(data),
        err: (line) => process.stderr.write(`${line}\n`),
      });
      try {
        await work(output);
        if (written.aborted) throw written.reason;
      } catch (error) {
        if (error === READER_LEFT) return;
        tell(error, output);
        process.exitCode = exitCodeOf(error);
        leaveParent();
      }
    },
    ask: (question) => askCluster(undefined, question),
    withClient: (work) => cli.run((output) => cli.ask((varlog) => work(varlog, output))),
    withTopic: (argument, work) =>
      cli.run((output) => {
        const { url, id } = { url: undefined, id: undefined, ...argument };
        return askCluster(url, (varlog) => work(varlog.topic(id), output));
      }),
    toldToEnd,
    interrupted: () => AbortSignal.any([interrupted(), written]),
  };
  return cli;
}

/** Whoever reads the output has seen enough, as `head` has: no error, and nothing to tell anybody. */
const READER_LEFT = Symbol('the reader of the output left');

/** Aborted when the output cannot be written any more, with the reason. */
function watchOutput(): AbortSignal {
  const controller = new AbortController();
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    controller.abort(error.code === 'EPIPE' ? READER_LEFT : error);
  });
  // Nobody is left who could be told.
  process.stderr.on('error', () => {});
  return controller.signal;
}

/** The channel to the process that started this one would keep it alive. */
function leaveParent(): void {
  if (process.connected) process.disconnect();
}

/** Options given before or after the command's name. */
function collectOptions(program: Command): GlobalOptions {
  const found: Record<string, unknown> = { ...program.opts() };
  const visit = (command: Command): void => {
    for (const { name } of GLOBAL_OPTIONS) {
      const value: unknown = command.opts()[name];
      if (value !== undefined) found[name] = value;
    }
    command.commands.forEach(visit);
  };
  visit(program);
  return found;
}

/** So that `varlog up --json` and `varlog --json up` mean the same. */
function acceptGlobalOptionsEverywhere(program: Command): void {
  const visit = (command: Command): void => {
    if (command.commands.length === 0) addGlobalOptions(command);
    command.exitOverride().commands.forEach(visit);
  };
  program.commands.forEach(visit);
}

function addGlobalOptions(command: Command): void {
  for (const { flags, help } of GLOBAL_OPTIONS) {
    const [long] = flags.split(' ');
    // A server names its own certificate by the same flags.
    if (command.options.every((it) => it.long !== long)) command.option(flags, help);
  }
}
