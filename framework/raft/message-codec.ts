import { term as checkedTerm, logIndex, ownBytes, VarlogError } from '../base/index.ts';
import { MessageKind, Message as Wire } from '../wire/gen/raft.ts';
import { decodeConfiguration, encodeConfiguration, type Message } from './core/index.ts';

/** A core message as it travels. Payloads are passed on as they are. */
export function toWire(message: Message): Wire {
  const { term } = message;
  switch (message.type) {
    case 'vote':
      return Wire.create({
        kind: MessageKind.VOTE,
        term,
        index: message.lastIndex,
        indexTerm: message.lastTerm,
        pre: message.pre,
        flag: message.transfer,
      });
    case 'voteResponse':
      return Wire.create({
        kind: MessageKind.VOTE_RESPONSE,
        term,
        pre: message.pre,
        flag: message.granted,
      });
    case 'append':
      return Wire.create({
        kind: MessageKind.APPEND,
        term,
        index: message.prevIndex,
        indexTerm: message.prevTerm,
        commit: message.commit,
        entries: message.batches as Wire['entries'],
      });
    case 'appendResponse':
      return Wire.create({
        kind: MessageKind.APPEND_RESPONSE,
        term,
        index: message.index,
        flag: message.rejected,
        hintIndex: message.hintIndex,
        hintTerm: message.hintTerm,
      });
    case 'heartbeat':
      return Wire.create({
        kind: MessageKind.HEARTBEAT,
        term,
        commit: message.commit,
        round: message.round,
      });
    case 'heartbeatResponse':
      return Wire.create({
        kind: MessageKind.HEARTBEAT_RESPONSE,
        term,
        round: message.round,
        flag: message.promises,
      });
    case 'commit':
      return Wire.create({ kind: MessageKind.COMMIT, term, commit: message.commit });
    case 'snapshot':
      return Wire.create({
        kind: MessageKind.SNAPSHOT,
        term,
        index: message.index,
        indexTerm: message.indexTerm,
        configuration: encodeConfiguration(message.configuration),
      });
    case 'timeoutNow':
      return Wire.create({ kind: MessageKind.TIMEOUT_NOW, term });
  }
}

/** What `from` sent to `to`. Throws `INVALID_ARGUMENT` or `POSITION_OUT_OF_RANGE` for what is no message. */
export function fromWire(wire: Wire, from: number, to: number): Message {
  const term = checkedTerm(wire.term);
  const index = logIndex(wire.index);
  const { commit, round, pre, flag, indexTerm, hintIndex, hintTerm } = wire;
  switch (wire.kind) {
    case MessageKind.VOTE:
      return {
        type: 'vote',
        from,
        to,
        term,
        pre,
        lastIndex: index,
        lastTerm: indexTerm,
        transfer: flag,
      };
    case MessageKind.VOTE_RESPONSE:
      return { type: 'voteResponse', from, to, term, pre, granted: flag };
    case MessageKind.APPEND:
      return {
        type: 'append',
        from,
        to,
        term,
        prevIndex: index,
        prevTerm: indexTerm,
        batches: checkedEntries(index, wire.entries),
        commit,
      };
    case MessageKind.APPEND_RESPONSE:
      return { type: 'appendResponse', from, to, term, rejected: flag, index, hintIndex, hintTerm };
    case MessageKind.HEARTBEAT:
      return { type: 'heartbeat', from, to, term, commit, round };
    case MessageKind.HEARTBEAT_RESPONSE:
      return { type: 'heartbeatResponse', from, to, term, round, promises: flag };
    case MessageKind.COMMIT:
      return { type: 'commit', from, to, term, commit };
    case MessageKind.SNAPSHOT:
      return {
        type: 'snapshot',
        from,
        to,
        term,
        index,
        indexTerm,
        configuration: decodeConfiguration(wire.configuration),
      };
    case MessageKind.TIMEOUT_NOW:
      return { type: 'timeoutNow', from, to, term };
    default:
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `member ${from} sent a message of the unknown kind ${wire.kind}`,
        because: 'it may run another version',
      });
  }
}

function checkedEntries(prevIndex: number, entries: Wire['entries']): Wire['entries'] {
  let next = prevIndex + 1;
  for (const entry of entries) {
    const { index, count } = entry;
    if (index !== next || count === 0) {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `an append of entry ${index} follows entry ${next - 1}`,
        because: 'the peer may run another version',
      });
    }
    next += count;
    if (entry.payload.length > 0) entry.payload = ownBytes(entry.payload);
  }
  return entries;
}
