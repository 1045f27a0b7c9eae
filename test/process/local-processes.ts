import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The package's folder: this file is run from source by tests and from `dist` by the benchmark. */
export const ROOT = ancestorWith('package.json', import.meta.dirname);

function ancestorWith(file: string, folder: string): string {
  return existsSync(join(folder, file)) ? folder : ancestorWith(file, dirname(folder));
}

const OUTPUT_MAX = 20_000;

/** A process of the built package (`dist`), to be killed, stopped and started again at will. */
export class Program {
  private readonly path: string;
  private readonly args: readonly string[];
  private readonly env: NodeJS.ProcessEnv;
  private readonly heard = new Set<(message: unknown) => void>();
  private readonly ends = new Set<() => void>();
  private child: ChildProcess | undefined;
  private ending: Promise<number | null> = Promise.resolve(0);
  /** The end of what it wrote since its last start, both streams. */
  output = '';

  /** `env`: variables beside those of this process. */
  constructor(path: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.path = join(ROOT, 'dist', path);
    this.args = args;
    this.env = { ...process.env, ...env };
  }

  /** 0 while none runs. */
  get pid(): number {
    return this.child?.pid ?? 0;
  }

  get isUp(): boolean {
    return this.child !== undefined;
  }

  start(): void {
    this.output = '';
    const child = spawn(process.execPath, [this.path, ...this.args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: this.env,
    });
    const keep = (chunk: Buffer): void => {
      this.output = (this.output + chunk.toString()).slice(-OUTPUT_MAX);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.on('message', (message) => {
      for (const hear of [...this.heard]) hear(message);
    });
    child.once('exit', () => {
      if (this.child === child) this.child = undefined;
      for (const end of [...this.ends]) end();
    });
    this.ending = new Promise((resolve) => child.once('close', resolve));
    this.child = child;
  }

  /** Resolves when it has ended and all its output is there: with its exit code, or `null` where a signal ended it. */
  ended(): Promise<number | null> {
    return this.ending;
  }

  /** Ends it by a signal and waits until it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  /** Makes it stand still, or go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.child?.kill(signal);
  }

  /** Sends it a message, if it runs: see `process.on('message')`. */
  send(message: object): void {
    // One that is gone by now is noticed by its end.
    this.child?.send(message, () => {});
  }

  /** Hears its next message, or its end before that. */
  hearOnce(hear: (message: unknown) => void, ended: () => void): void {
    const done = (): void => {
      this.heard.delete(once);
      this.ends.delete(gone);
    };
    const once = (message: unknown): void => {
      done();
      hear(message);
    };
    const gone = (): void => {
      done();
      ended();
    };
    this.heard.add(once);
    this.ends.add(gone);
  }

  /** Hears each message of it, also of one that is started later. */
  onMessage(hear: (message: unknown) => void): void {
    this.heard.add(hear);
  }
}

/**
 * Processes of the built package on this machine, and a folder for their data. All are killed, and the folder is removed,
 * when it is disposed of, whatever has happened by then.
 */
export class LocalProcesses implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'varlog-processes-'));
  readonly programs: Program[] = [];

  /** A folder of this name for a process to make. */
  folder(name: string): string {
    return join(this.directory, name);
  }

  /** A program of `dist`, not started yet, with these variables beside those of this process. */
  program(path: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
    const program = new Program(path, args, env);
    this.programs.push(program);
    return program;
  }

  /** A node, not started yet: `varlog server` with these flags, as in `{ 'node-id': 1 }`. It logs warnings only. */
  node(
    flags: Readonly<Record<string, string | number>>,
    more: readonly string[] = [],
    env: NodeJS.ProcessEnv = {},
  ): Program {
    const args = Object.entries({ 'log-level': 'warn', ...flags }).flatMap(([name, value]) => [
      `--${name}`,
      String(value),
    ]);
    return this.program('framework/node/cli.js', ['server', ...args, ...more], env);
  }

  startAll(): void {
    for (const it of this.programs) if (!it.isUp) it.start();
  }

  async killAll(): Promise<void> {
    await Promise.all(this.programs.map((it) => it.end('SIGKILL')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killAll();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
