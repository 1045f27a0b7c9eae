/** Ids of the cluster's objects: whole numbers from 1 to 2^31 - 1, as in the published interface. */
export type ClusterId = number;
export type TopicId = number;
/** Unique in the cluster, not only in its topic. */
export type LogStreamId = number;
export type StorageNodeId = number;

/** A Raft member's id. The published interface carries it as uint64; ours stay below 2^53. */
export type MemberId = number;
