import type { Command } from 'commander';
import { VarlogError } from '../../base/index.ts';
import { type InspectedEntry, type InspectedMember, inspectMember } from '../../raft/index.ts';
import { realPorts } from '../../runtime/index.ts';
import { atLeast, type Cli } from './cli-context.ts';

interface Flags {
  group?: string;
  from?: number;
  to?: number;
  values?: boolean;
}

/** `raft-inspect`: what a member of a Raft group that does not run has on its disk. */
export function addRaftInspectCommand(program: Command, cli: Cli): void {
  program
    .command('raft-inspect')
    .description('check and show what a member of a Raft group that does not run has on its disk')
    .argument('<folder>', 'its folder, or that of its host; nothing in it is changed')
    .option('--group <id>', 'the group, where a host has several')
    .option('--from <index>', 'list its entries, from here on', atLeast(1))
    .option('--to <index>', 'list its entries, up to here', atLeast(1))
    .option('--values', 'list its entries with what they hold')
    .action((directory: string, { group: groupId, from, to, values }: Flags) =>
      cli.run(async (output) => {
        const lists = from !== undefined || to !== undefined || values === true;
        // Paths start where the user is, so that errors name the folder as the user did.
        const { disk } = realPorts({ directory: '' });
        const member = await inspectMember({ disk, directory, groupId }, (entry) => {
          const { index, term, kind, value } = entry;
          if (!lists || index < (from ?? 1) || index > (to ?? Infinity)) return;
          const facts = { index, term, kind, bytes: value.length };
          const base64 = Buffer.from(value).toString('base64');
          const columns = [...Object.values(facts), ...(values ? [readable(entry)] : [])];
          output.result(values ? { ...facts, value: base64 } : facts, columns.join('\t'));
        });
        output.result(plain(member), describe(member));
        const [first] = member.damage;
        if (first === undefined) return;
        const { code, path, offset } = first;
        throw new VarlogError(code, {
          what: `${member.damage.length} of the files of this member cannot be read, first ${path}`,
          next: 'remove this member from its group, and add another one under a new id',
          details: { path, offset },
        });
      }),
    );
}

/** What can be printed as text, and anything else as base64. */
function readable({ kind, value }: InspectedEntry): string {
  const bytes = Buffer.from(value);
  // A mark of four bytes lies before a configuration.
  const text = (kind === 'configuration' ? bytes.subarray(4) : bytes).toString();
  const isText = !/\p{Cc}|\uFFFD/u.test(text);
  return isText ? text : `base64:${bytes.toString('base64')}`;
}

function plain({ members, snapshot, ...member }: InspectedMember): unknown {
  const { index, configuration } = members ?? {};
  return {
    ...member,
    snapshot: snapshot && {
      index: snapshot.index,
      term: snapshot.term,
      bytes: snapshot.size,
      checksum: hex(snapshot.checksum),
    },
    members: configuration && {
      index,
      ...configuration,
      addresses: Object.fromEntries(configuration.addresses),
      incarnations: Object.fromEntries(configuration.incarnations),
    },
  };
}

function describe(member: InspectedMember): string {
  const { disk, hardState, entries, snapshot, members, tornEnds, remains, damage } = member;
  const { configuration } = members ?? {};
  const addresses = [...(configuration?.addresses ?? [])].map(([id, it]) => `${id} at ${it}`);
  const votes = configuration?.voters.join(', ');
  const lines: [string, string | undefined][] = [
    ['member', `${member.memberId} of group ${member.groupId}, in ${member.directory}`],
    ['group', disk && (disk.identity || 'not known yet')],
    ['disk', disk?.incarnation],
    ['term', hardState && `${hardState.term}, voted for ${hardState.vote || 'nobody'}`],
    [
      'entries',
      entries && `${entries.first} to ${entries.last}, the last one of term ${entries.lastTerm}`,
    ],
    [
      'snapshot',
      snapshot &&
        `of entry ${snapshot.index}, term ${snapshot.term}, ${snapshot.size} bytes, checksum ${hex(snapshot.checksum)} verified`,
    ],
    [
      'members',
      configuration && `${addresses.join(', ')}; ${votes} vote (entry ${members?.index})`,
    ],
    ...tornEnds.map(({ path, offset, bytes }): [string, string] => [
      'torn end',
      `${path} from byte ${offset} on, ${bytes} bytes: of an interrupted write, never acknowledged`,
    ]),
    ...remains.map((path): [string, string] => ['left over', `${path}, of an interrupted write`]),
    ...damage.map(({ code, message }): [string, string] => ['damage', `${code}: ${message}`]),
  ];
  return lines.map(([name, text]) => `${name.padEnd(9)}  ${text ?? 'nothing'}`).join('\n');
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}
