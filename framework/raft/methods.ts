import type { BidiMethod, ServerStreamMethod, UnaryMethod } from '../base/index.ts';
import { VarlogError } from '../base/index.ts';
import {
  ChangeRequest,
  ChangeResponse,
  MeetRequest,
  MeetResponse,
  Nothing,
  Parcel,
  ProposeRequest,
  ProposeResponse,
  SnapshotChunk,
  SnapshotRequest,
  TailRequest,
  TailResponse,
} from '../wire/gen/raft.ts';
import { bidi, serverStream, unary } from '../wire/message.ts';

/** The methods by which the members of one group speak. */
export interface RaftMethods {
  readonly exchange: BidiMethod<Parcel, Nothing>;
  readonly propose: UnaryMethod<ProposeRequest, ProposeResponse>;
  readonly tail: UnaryMethod<TailRequest, TailResponse>;
  readonly meet: UnaryMethod<MeetRequest, MeetResponse>;
  readonly change: UnaryMethod<ChangeRequest, ChangeResponse>;
  readonly snapshot: ServerStreamMethod<SnapshotRequest, SnapshotChunk>;
}

/**
 * Each group is a service of its own, so that any number of them share a server: the server's own
 * routing tells them apart. Throws `INVALID_ARGUMENT` for an id that cannot be part of a path.
 */
export function methodsOf(groupId: string): RaftMethods {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(groupId)) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `"${groupId}" is not the id of a Raft group`,
      next: 'use 1 to 64 letters, digits, "-" and "_"',
    });
  }
  const service = `varlog.raft.Raft.${groupId}`;
  return {
    exchange: bidi(service, 'Exchange', Parcel, Nothing),
    propose: unary(service, 'Propose', ProposeRequest, ProposeResponse),
    tail: unary(service, 'Tail', TailRequest, TailResponse),
    meet: unary(service, 'Meet', MeetRequest, MeetResponse),
    change: unary(service, 'Change', ChangeRequest, ChangeResponse),
    snapshot: serverStream(service, 'Snapshot', SnapshotRequest, SnapshotChunk),
  };
}
