import type { Channel, Ports, VarlogError } from '../base/index.ts';
import type { Configuration, Raft } from './core/index.ts';
import type { HostResources } from './host-resources.ts';
import type { RaftMethods } from './methods.ts';
import type { RaftStorage } from './storage.ts';

export interface DriverOptions {
  readonly ports: Ports;
  readonly groupId: string;
  readonly memberId: number;
  /** Where this member listens. */
  readonly address: string;
  /** What the group began with, or what a member that joins is told of it. */
  readonly initial: Configuration;
  readonly methods: RaftMethods;
  readonly storage: RaftStorage;
  readonly directory: string;
  /** Names group and member in the files of the folder. */
  readonly label: string;
  readonly resources: HostResources;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly uncommittedBytesMax: number;
  readonly leaseMs: number | undefined;
  readonly preferredLeader: number | undefined;
  /** Told with each heartbeat while this member leads. */
  readonly onHeartbeat: () => void;
  /** Told, once, what ends this member. */
  readonly onFailure: (error: VarlogError) => void;
}

/** What the parts of one member share. The driver provides it. */
export interface MemberContext {
  readonly options: DriverOptions;
  readonly raft: Raft;
  readonly isClosed: boolean;
  /** The way to another member, as far as this one knows it. */
  channelTo(member: number): Channel | undefined;
  /** Has the core's effects carried out at the end of this turn. */
  schedule(): void;
}
