import type { Observable } from 'rxjs';
import type { LogCallOptions, MemberId, Ports } from '../../base/index.ts';
import type { Member, RaftStatus } from '../../raft/index.ts';
import type { Metadata, MetadataCommand, Sender } from '../core/index.ts';
import type { Orderer } from './orderer.ts';

export interface MetadataRepositoryOptions {
  ports: Ports;
  clusterId: number;
  /** This member. */
  memberId: MemberId;
  /**
   * The members that the cluster begins with, this one included; later the cluster itself knows. The address is that of
   * the process, where its handlers are served.
   */
  members: readonly { readonly id: MemberId; readonly address: string }[];
  /** This member is added to a cluster that exists: `members` are some of it, and itself. Default false. */
  join?: boolean;
  directory: string;
  /**
   * Whether this member, while it leads, answers linearizable reads alone as long as no other one can have been elected.
   * It relies on clocks of which none runs more than a tenth faster than another; and a leader that is lost is replaced
   * after up to two election timeouts, instead of at once. Only members that have it too count for that. Default false.
   */
  leaseReads?: boolean;
  /** Told to clients that ask; new log streams get so many replicas. */
  replicationFactor: number;
  /**
   * The highest feature level that this member supports, as a member of an older version would. Default: all that
   * this version knows.
   */
  supportedLevel?: number;
}

/** Who has a command carried out. Default: an operator. */
export interface ExecuteOptions extends LogCallOptions {
  sender?: Sender;
}

/** What is to be changed about the members of the metadata repository. */
export type MemberOrder =
  | { readonly kind: 'add'; readonly member: Member; readonly replaces?: MemberId | undefined }
  /** Whoever answers there, by the id that it says it has. */
  | { readonly kind: 'addAt'; readonly address: string }
  | { readonly kind: 'remove'; readonly id: MemberId }
  | { readonly kind: 'move'; readonly member: Member };

/** A member of the metadata repository, by the newest knowledge of another one. */
export interface KnownMember extends Member {
  /** It receives the log and does not vote: it is being added, or was left so. */
  readonly learner: boolean;
}

/** Changes the members, where it leads. */
export interface MembersChanger {
  /** What is being done here, in words; `undefined` for nothing. */
  readonly underWay: string | undefined;
  /**
   * Resolves when the change is committed; nothing happens if all is so already. Rejects with `FAILED_PRECONDITION`,
   * `NOT_FOUND`, `CLUSTER_MISMATCH`, `DISK_LOST`, `INVALID_ARGUMENT` or `UNREACHABLE` where nothing was changed, and with `APPEND_UNKNOWN`
   * where the change was begun and is not known to be committed: the same one may be asked for again.
   */
  change(order: MemberOrder, options: LogCallOptions): Promise<void>;
}

/** What the services of a member, and the tasks of its leader, may ask of it. */
export interface RepositoryAccess {
  readonly options: MetadataRepositoryOptions;
  readonly metadata: Metadata;
  readonly status: RaftStatus;
  /** The members, by this one's newest knowledge. */
  readonly members: readonly KnownMember[];
  /** Only the leader changes the members. */
  readonly memberChanges: MembersChanger;
  /** Identity of the cluster; `undefined` until this member knows it. */
  readonly cluster: string | undefined;
  /** What is wrong with this member, in words, although it goes on; `undefined` when nothing is. */
  readonly trouble: string | undefined;
  /** What this member does as the leader; `undefined` while it is none. */
  readonly orderer: Orderer | undefined;
  /** {@link orderer} as it changes. Completes with the member. */
  readonly orderer$: Observable<Orderer | undefined>;
  /** Throws why this member ended, if it did: whoever asks must turn to another one. */
  throwIfFailed(): void;
  /** Changes the metadata, by way of the leader. A refusal is thrown as the error that it names. */
  execute(command: MetadataCommand, options?: ExecuteOptions): Promise<number>;
  /** Reads the metadata as of now, wherever it was changed last (linearizable). */
  read<T>(look: (metadata: Metadata) => T, options?: LogCallOptions): Promise<T>;
  /** The orderer, once this member is known to have applied all that earlier leaders committed. */
  confirmedOrderer(): Promise<Orderer>;
}
