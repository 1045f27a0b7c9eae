import {
  encodeConfiguration,
  endOf,
  type Message,
  type Raft,
} from '../../framework/raft/core/index.ts';
import { type Mutant, TICK_MS } from './raft-walk.ts';

type Leadership = NonNullable<Raft['leadership']>;

/** Ways to break Raft, each in one place, and each of which was made in the wild. */
export const MUTANTS: Readonly<Record<string, Mutant>> = {
  'acknowledges before the disk has it': (raft) => {
    raft.sendDurable = (message) => {
      if (message.to === raft.id) {
        raft.step({ term: raft.term, ...message, from: raft.id } as Message);
      } else raft.send(message);
    };
  },
  'votes twice': (raft) => {
    raft.canVoteFor = () => true;
  },
  'votes for shorter logs': (raft) => {
    raft.log.isUpToDate = () => true;
  },
  'forgets its vote in a restart': (raft) => {
    raft.vote = 0;
  },
  'commits entries of older terms by counting': (raft) => {
    whenLeading(raft, (leadership) => {
      leadership.mayCommit = (index) => raft.log.termAt(index) !== undefined;
    });
  },
  'counts itself before its disk has it': (raft) => {
    const append = raft.append.bind(raft);
    raft.append = (batch) => {
      append(batch);
      raft.leadership?.ownWriteDone(endOf(batch));
    };
  },
  'counts half of the voters as a majority': (raft) => {
    whenLeading(raft, (leadership) => {
      const advance = leadership['advanceCommit'].bind(leadership);
      leadership['advanceCommit'] = () => {
        const { voters } = raft.configuration;
        const reached = voters.map((it) => leadership.progress.get(it)?.match ?? 0);
        const index = reached.sort((a, b) => b - a)[Math.max(0, (voters.length >> 1) - 1)] ?? 0;
        if (index > raft.log.commit && leadership.mayCommit(index)) raft.log.commitTo(index);
        advance();
      };
    });
  },
  'takes entries that do not follow its own': (raft) => {
    raft.log.matches = (index) => index <= raft.log.last;
  },
  'keeps conflicting entries': (raft) => {
    raft.log.present = (batches) => {
      let known = 0;
      while (known < batches.length && endOf(batches[known]!) <= raft.log.last) known++;
      return known;
    };
  },
  'cuts off what is there already': (raft) => {
    raft.log.present = () => 0;
  },
  'follows appends of an older term': (raft) => {
    const step = raft.step.bind(raft);
    raft.step = (message) => {
      const late = message.type === 'append' && message.term < raft.term;
      step(late && raft.role === 'follower' ? { ...message, term: raft.term } : message);
    };
  },
  'passes on a commit index that the other log does not reach': (raft) => {
    const send = raft.send.bind(raft);
    raft.send = (message) =>
      send(message.type === 'heartbeat' ? { ...message, commit: raft.log.commit } : message);
  },
  'answers reads without asking a majority': (raft) => {
    whenLeading(raft, (leadership) => {
      leadership.readRounds.begin = function begin(commit) {
        raft.confirmReads(this.drop().map((context) => ({ context, index: commit })));
        return false;
      };
    });
  },
  'answers reads before it committed in its term': (raft) => {
    whenLeading(raft, (leadership) => {
      leadership.mayRead = () => true;
    });
  },
  'lets a read share a round that began before it': (raft) => {
    whenLeading(raft, ({ readRounds }) => {
      readRounds.add = (context) =>
        readRounds[readRounds.underWay ? 'asked' : 'waiting'].push(context);
    });
  },
  'keeps its lease over a pause': (raft) => {
    Object.defineProperty(raft, 'now', { get: () => raft.electionElapsed, set: () => {} });
  },
  'keeps its lease when it hands over': (raft) => {
    whenLeading(raft, (leadership) => {
      Object.defineProperty(leadership, 'gaveUpLease', { get: () => false, set: () => {} });
      let until = 0;
      Object.defineProperty(leadership, 'leaseUntil', {
        get: () => until,
        set: (value: number) => {
          until = Math.max(until, value);
        },
      });
    });
  },
  'counts on a tick of its followers that may be short': (raft, { climate }) => {
    if (!climate.leases) return;
    Object.assign(raft.options, { leaseMs: climate.electionTicks * TICK_MS });
  },
  'helps to depose a leader that it hears': (raft) => {
    const step = raft.step.bind(raft);
    raft.step = (message) =>
      step(message.type === 'vote' ? { ...message, transfer: true } : message);
  },
  'looks for another leader at once, with leases too': (raft) => {
    const disconnected = raft.disconnected.bind(raft);
    raft.disconnected = (member) => {
      const { leaseMs } = raft.options;
      Object.assign(raft.options, { leaseMs: undefined });
      disconnected(member);
      Object.assign(raft.options, { leaseMs });
    };
  },
  'writes what a snapshot has replaced': ({ persistence }) => {
    const snapshot = persistence.snapshot.bind(persistence);
    persistence.snapshot = (index, term) => {
      const batches = persistence['draft']?.batches ?? [];
      snapshot(index, term);
      persistence['draft']!.batches = batches;
    };
  },
  'listens to other groups': ({ log }) => {
    const distrusts = log.refuses.bind(log);
    log.refuses = (from, identity) => {
      const found = distrusts(from, identity);
      return found === 'otherGroup' ? undefined : found;
    };
  },
  'listens to those who never belonged to its group': ({ log }) => {
    const distrusts = log.refuses.bind(log);
    log.refuses = (from, identity) => {
      const found = distrusts(from, identity);
      return found === 'notMember' ? undefined : found;
    };
  },
  'stays silent when the newest configuration does not name it, committed or not': ({ log }) => {
    log.incarnationOf = (member) => log.configuration.incarnations.get(member);
  },
  'keeps the newest snapshot only of those that arrived': (raft, { members }) => {
    const { received } = members.get(raft.id)!;
    received.set = (index, snapshot) => {
      received.clear();
      return Map.prototype.set.call(received, index, snapshot) as typeof received;
    };
  },
  'asks only the new majority in a change': (raft) => {
    Object.defineProperty(raft, 'configuration', {
      get: () => ({ ...raft.log.configuration, outgoing: [] }),
    });
  },
  'changes the voters in one step': (raft) => {
    whenLeading(raft, (leadership) => {
      leadership.changeMembers = (change) =>
        leadership.propose(
          encodeConfiguration({ ...raft.configuration, ...change, outgoing: [] }),
          1,
        );
    });
  },
  'lets learners count': (raft) => {
    Object.defineProperty(raft, 'configuration', {
      get: () => {
        const { voters, learners, ...rest } = raft.log.configuration;
        return { ...rest, voters: [...voters, ...learners], learners: [] };
      },
    });
  },
  'forgets the configuration in a snapshot': (raft) => {
    const { reset } = raft.log;
    const initial = raft.log.configuration;
    raft.log.reset = (index, term) => reset.call(raft.log, index, term, initial);
  },
  'keeps a configuration that was cut off': (raft) => {
    const { log } = raft;
    const { truncate } = log;
    log.truncate = (last) => {
      const kept = [...log['configurations']];
      truncate.call(log, last);
      log['configurations'] = kept;
    };
  },
};

function whenLeading(raft: Raft, change: (leadership: Leadership) => void): void {
  const become = raft.becomeLeader.bind(raft);
  raft.becomeLeader = () => {
    become();
    change(raft.leadership!);
  };
}
