import type { Command } from 'commander';
import { reasonOf, sleep, VarlogError } from '../../base/index.ts';
import { endInTime, jsonLogger, realPorts } from '../../runtime/index.ts';
import { LISTENING } from '../child-node.ts';
import { CONFIG_KEYS, resolveConfig } from '../config.ts';
import { CredentialFiles } from '../credential-files.ts';
import { MISTAKE } from '../exit-code.ts';
import { NodeFailed } from '../failure-watch.ts';
import { startLocalCluster } from '../local-cluster.ts';
import type { Output } from '../output.ts';
import { startWithFiles } from '../start-node.ts';
import { type TlsFiles, tlsFilesOf } from '../tls-files.ts';
import { tuneGarbageCollection } from '../tune-garbage-collection.ts';
import { atLeast, type Cli } from './cli-context.ts';

/** `up` and `server`: what runs until it is told to end. */
export function addClusterCommands(program: Command, cli: Cli): void {
  const upCommand = program
    .command('up')
    .description('start a ready cluster on this machine, or go on with the one in --directory')
    .option('-n, --nodes <count>', 'processes; more than one replicate', atLeast(1), 1)
    .option('-p, --port <port>', 'gRPC port of the first node', atLeast(1), 9092)
    .option('--http-port <port>', 'health and metrics port of the first node', atLeast(1), 9180)
    .option('-d, --directory <path>', 'where the data lies', '.varlog')
    .option('--log-streams <count>', 'log streams of the first topic', atLeast(1), 2)
    .option(
      '--token-file <file>',
      'access tokens, one a line: let in only who shows one of them (VARLOG_TOKEN_FILE)',
    );
  // What clients are given too may have been taken by the program.
  upCommand.action(() =>
    cli.run(
      (output) => {
        const stop = cli.toldToEnd();
        return endInTime(stop, up(upCommand.optsWithGlobals(), stop, output));
      },
      (error, output) => {
        output.error(error);
        if (VarlogError.is(error, 'TIMEOUT')) leave();
      },
    ),
  );

  const server = program
    .command('server')
    .description('run one process with chosen roles')
    .option('-c, --config <file>', 'configuration file (YAML or JSON)');
  for (const { flag, value, env, help } of CONFIG_KEYS) {
    server.option(`${flag} ${value}`, `${help} (${env})`.trim());
  }
  // Some of them are given to clients too, and then taken by the program.
  server.action(() => {
    let event = 'cannot start';
    return cli.run(
      () => {
        const stop = cli.toldToEnd();
        void stop.then(() => {
          event = 'did not end in order';
        });
        return endInTime(stop, serve(server.optsWithGlobals(), stop));
      },
      (error, output) => logEnd(event, error, output),
    );
  });
}

/** A node whose disk is dead is not waited for longer. */
const CLOSE_MS = 3_000;

/** Why a start was given up that the user does not wait for any more. */
const INTERRUPTED = Symbol('interrupted');

interface UpFlags extends TlsFiles {
  nodes: number;
  port: number;
  httpPort: number;
  directory: string;
  logStreams: number;
  tokenFile?: string;
}

async function up(flags: UpFlags, stop: Promise<void>, output: Output): Promise<void> {
  tuneGarbageCollection();
  const starting = new AbortController();
  void stop.then(() => starting.abort(INTERRUPTED));
  // There are others among the flags, which are for all commands.
  const { nodes, port, httpPort, directory, logStreams } = flags;
  const { tlsCa, tlsCertificate, tlsKey } = { ...tlsFilesOf(process.env), ...flags };
  const cluster = await startLocalCluster({
    nodes,
    port,
    httpPort,
    directory,
    logStreams,
    tokenFile: flags.tokenFile ?? process.env['VARLOG_TOKEN_FILE'],
    tlsCa,
    tlsCertificate,
    tlsKey,
    progress: (text) => output.note(text),
    signal: starting.signal,
  }).catch((error: unknown) => {
    if (error !== INTERRUPTED) throw error;
  });
  if (cluster === undefined) return;
  const endpoint = cluster.endpoints[0]!;
  const where = flags.port === 9092 ? '' : ` --endpoints ${endpoint}`;
  const option = where + optionsTold(flags);
  output.result(
    { endpoints: cluster.endpoints, http: cluster.httpAddresses, pids: cluster.processIds() },
    [
      '',
      `ready: ${cluster.endpoints.join(', ')}   data in ${flags.directory}`,
      `health and metrics: ${cluster.httpAddresses.map((it) => `http://${it}/metrics`).join(', ')}`,
      '',
      'in another shell:',
      `  npx varlog append 1 "hello"${option}`,
      `  npx varlog tail 1${option}`,
      'Ctrl-C stops the cluster; the same command starts it again with its data.',
    ].join('\n'),
  );
  await stop;
  output.note('stopping');
  await cluster.close();
}

/** Those that clients have to be given too. */
function optionsTold({ tlsCa, tlsCertificate, tlsKey, tokenFile }: UpFlags): string {
  const files = Object.entries({
    '--tls-ca': tlsCa,
    '--tls-certificate': tlsCertificate,
    '--tls-key': tlsKey,
    '--token-file': tokenFile,
  });
  return files.map(([flag, file]) => (file === undefined ? '' : ` ${flag} ${file}`)).join('');
}

async function serve(flags: Record<string, string>, stop: Promise<void>): Promise<void> {
  const { config: file, ...rest } = flags;
  const config = resolveConfig({
    flags: rest,
    env: process.env,
    ...(file === undefined ? {} : { file }),
  });
  tuneGarbageCollection();
  endByMistake();
  const { directory, logLevel } = config;
  const files = new CredentialFiles(config);
  const { tls, tokens } = files;
  const ports = realPorts({ directory, logLevel, tls, tokens });
  const node = await startWithFiles(config, ports, files);
  process.send?.(LISTENING);
  const failure = await Promise.race([stop, node.failed]);
  if (failure === undefined) return node.close();
  // Whatever a dead disk does to it is no news, and no reason to go on.
  await Promise.race([node.close().catch(() => {}), sleep(ports.clock, CLOSE_MS)]);
  throw failure;
}

/** What nobody expected leaves nothing half done to go on with: it is a line of the log, and the end of the process. */
function endByMistake(): void {
  process.once('uncaughtException', (error) => {
    const event = 'a mistake in this program ends the process: report it, and start it again';
    const code = VarlogError.is(error) ? error.code : 'INTERNAL';
    jsonLogger('error').log('error', event, { code, error });
    process.exit(MISTAKE);
  });
}

/** Why a server failed in what `doing` names: a line of its log, and for a person who looks on a text too. */
function logEnd(doing: string, error: unknown, output: Output): void {
  const isFailure = error instanceof NodeFailed;
  const event = isFailure ? 'all roles of this node failed: start it again' : doing;
  const message = reasonOf(error);
  const code = isFailure ? 'NODE_FAILED' : VarlogError.is(error) ? error.code : 'INTERNAL';
  jsonLogger('error').log('error', event, { code, message });
  if (process.stderr.isTTY) output.error(error);
  if (isFailure || code === 'TIMEOUT') leave();
}

/** What a dead disk or a part that hangs has left may never end. */
function leave(): void {
  setImmediate(() => process.exit());
}
