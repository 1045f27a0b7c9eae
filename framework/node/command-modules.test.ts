import { Command } from 'commander';
import { addCommands, COMMAND_MODULES } from './command-modules.ts';
import type { Cli } from './commands/cli-context.ts';

/** Commands are only added, none of them runs. */
const cli = {} as Cli;

async function namesFor(...args: string[]): Promise<string[]> {
  const program = new Command();
  await addCommands(program, cli, args);
  return program.commands.map((it) => it.name());
}

test('each module adds the commands that it is found by', async () => {
  for (const { names, load } of COMMAND_MODULES) {
    const program = new Command();
    (await load())(program, cli);
    expect(program.commands.map((it) => it.name()).sort()).toEqual([...names].sort());
  }
});

test('only what is named is loaded, wherever it stands; everything where nothing is', async () => {
  expect(await namesFor('--json', 'skip', '1', '2')).toEqual(['skip']);
  expect(await namesFor('--endpoints', 'status', 'skip')).toEqual(['skip', 'status', 'doctor']);
  const all = COMMAND_MODULES.flatMap((it) => it.names);
  for (const args of [[], ['--help'], ['unknown']]) {
    expect((await namesFor(...args)).sort()).toEqual([...all].sort());
  }
});
