import { type Command, InvalidArgumentError } from 'commander';
import { isTcpAddress } from '../../base/index.ts';
import type { MemberAddress, MemberStatus } from '../../log/index.ts';
import { table } from '../output.ts';
import { atLeast, type Cli } from './cli-context.ts';

const SECONDS = '--seconds <count>';
const SECONDS_HELP = 'how long to wait: who is added gets all that is there first';

/** `member …`: list the members of the metadata repository, add, remove, replace and move them. */
export function addMemberCommands(program: Command, cli: Cli): void {
  const member = program
    .command('member')
    .description('list the members of the metadata repository; add, remove, replace or move one');

  member
    .command('list')
    .description('list the members')
    .action(() =>
      cli.withClient(async (varlog, output) => {
        const members = await varlog.members.list();
        const changes = members.flatMap(({ change }) => (change === undefined ? [] : [change]));
        const text = [memberTable(members), ...changes.map((it) => `under way: ${it}`)];
        output.result(members, text.join('\n'));
      }),
    );

  member
    .command('add')
    .description('add a member, which was started with --join on an empty directory')
    .argument(
      '<id=host:port>',
      'an id that no member ever had, and where it listens',
      memberAddress,
    )
    .option(SECONDS, SECONDS_HELP, atLeast(1), 60)
    .action((it: MemberAddress, limits: Seconds) =>
      cli.withClient(async (varlog, output) => {
        await varlog.members.add(it, timeOf(limits));
        output.result(it, `member ${it.id} at ${it.address} votes`);
      }),
    );

  member
    .command('remove')
    .description('remove a member, for good')
    .argument('<id>', 'member id', atLeast(1))
    .option(SECONDS, 'how long to wait', atLeast(1), 60)
    .action((id: number, limits: Seconds) =>
      cli.withClient(async (varlog, output) => {
        await varlog.members.remove(id, timeOf(limits));
        output.result({ id }, `member ${id} is none any more: stop it`);
      }),
    );

  member
    .command('replace')
    .description('put a new member, started with --join, in the place of one whose disk is lost')
    .argument('<lost>', 'id of the member that is lost', atLeast(1))
    .argument(
      '<id=host:port>',
      'an id that no member ever had, and where it listens',
      memberAddress,
    )
    .option(SECONDS, SECONDS_HELP, atLeast(1), 60)
    .action((lost: number, it: MemberAddress, limits: Seconds) =>
      cli.withClient(async (varlog, output) => {
        await varlog.members.replace(lost, it, timeOf(limits));
        const text = `member ${it.id} at ${it.address} votes in place of member ${lost}`;
        output.result({ ...it, replaces: lost }, text);
      }),
    );

  member
    .command('move')
    .description('tell the cluster where a member listens that was started at another address')
    .argument('<id=host:port>', 'its id, and where it listens now', memberAddress)
    .option(SECONDS, 'how long to wait', atLeast(1), 60)
    .action((it: MemberAddress, limits: Seconds) =>
      cli.withClient(async (varlog, output) => {
        await varlog.members.move(it, timeOf(limits));
        output.result(it, `member ${it.id} is at ${it.address}`);
      }),
    );
}

interface Seconds {
  readonly seconds: number;
}

const timeOf = ({ seconds }: Seconds): { timeoutMs: number } => ({ timeoutMs: seconds * 1_000 });

/** Parses `4=host:port` for commander. */
function memberAddress(text: string): MemberAddress {
  const at = text.indexOf('=');
  const id = Number(text.slice(0, at));
  const address = text.slice(at + 1);
  if (Number.isSafeInteger(id) && id >= 1 && isTcpAddress(address)) return { id, address };
  throw new InvalidArgumentError('It must be an id and an address, as in 4=10.0.0.4:9092.');
}

/** The members on a screen. */
export function memberTable(members: readonly MemberStatus[]): string {
  return table(
    ['MEMBER', 'ADDRESS', 'STATE', 'VOTES', 'KNOWS LEVEL'],
    members.map((it) => [
      it.id,
      it.address,
      it.state === 'up' && it.trouble !== undefined ? 'in trouble' : it.state,
      it.votes ? 'yes' : 'learns',
      it.supportedLevel ?? '?',
    ]),
  );
}
