/**
 * Every code that an error of this package can carry, and whether the same call may succeed when it
 * is simply tried again. The list is closed and the codes are stable. docs/errors.md is made from here, by
 * infra/error-codes.mjs.
 */
const RETRYABLE = {
  /**
   * A server cannot listen where it was told to.
   * @remedy End the process that listens there, or choose another port.
   */
  ADDRESS_IN_USE: false,
  /**
   * Something with this name or id is there already, or was; or another live process is this storage node.
   * @remedy Choose another id, which is never one that was used before; stop one of the two processes.
   */
  ALREADY_EXISTS: false,
  /**
   * Another replica applies commands to this database, and is alive.
   * @remedy Close it first, or give each replica a database of its own.
   */
  ANOTHER_APPLIER: false,
  /**
   * Whether an append took effect is not known: it may be in the log, once, or not at all.
   * @remedy Read the log to see, or append commands that can be told apart, as state machines do.
   */
  APPEND_UNKNOWN: false,
  /**
   * A state machine threw at a committed command, or does not know it, and its replica stopped there.
   * @remedy Start the version that can apply it, or pass over it with "varlog skip".
   */
  APPLY_FAILED: false,
  /**
   * A position lies after the last record, or the log ends before what was read from it already.
   * @remedy Check that the position is of this topic and cluster.
   */
  BEYOND_TAIL: false,
  /**
   * The call was ended by its caller or by the other side before it was done.
   * @remedy Repeat it if it is still wanted.
   */
  CANCELLED: false,
  /**
   * The client, log, replica or member that was called is closed.
   * @remedy Open it again, or call before it is closed.
   */
  CLOSED: false,
  /**
   * The call, folder or token is of another cluster or group than the one that answers, perhaps of one that was made anew.
   * @remedy Check the endpoints, and whether the cluster was made anew; its old positions mean nothing there.
   */
  CLUSTER_MISMATCH: false,
  /**
   * An append or a fence was not carried out because what it expects of the log does not hold: details.actual says what does.
   * @remedy Read what was appended since, and decide anew; after a fence, stop: somebody took over.
   */
  CONDITION_FAILED: false,
  /**
   * The configuration does not make sense, or a file that it names cannot be used.
   * @remedy Change what the message names.
   */
  CONFIG_INVALID: false,
  /**
   * A consumer of this name was started anew: this one takes part no more.
   * @remedy End it, or give every consumer that lives at the same time a name of its own.
   */
  CONSUMER_FENCED: false,
  /**
   * Stored or received bytes are not what was written.
   * @remedy A replica with peers is rebuilt automatically; otherwise restore the folder from a good copy.
   */
  CORRUPT: false,
  /**
   * A record is not what the codec of its reader takes.
   * @remedy Give the topic the codec and the schema that it was written with; or let such records pass, with `onDecodeError`.
   */
  DECODE_FAILED: false,
  /**
   * Another process uses this folder.
   * @remedy Stop it, or name another folder.
   */
  DIRECTORY_IN_USE: false,
  /**
   * The folder cannot be made or written to.
   * @remedy Give this user the right to write there, or name another folder.
   */
  DIRECTORY_UNWRITABLE: false,
  /**
   * A read, write or sync of the disk failed: what uses it serves nothing any more.
   * @remedy See the system log, and replace the disk if it fails again.
   */
  DISK_FAILED: false,
  /**
   * The disk has no room, or the process may open no more files or let none grow so large. Nothing durable is in doubt.
   * @remedy Make room, trim, or raise the limit, as the message says: it goes on automatically.
   */
  DISK_FULL: true,
  /**
   * A member or node has lost what its disk held, or has an older copy of it.
   * @remedy Do not bring it back as it is: put a new member in its place.
   */
  DISK_LOST: false,
  /**
   * The folder of this storage node is not the one that the cluster knows it by.
   * @remedy Start it with its own folder, or give up the old one with "varlog node replace".
   */
  DISK_UNKNOWN: false,
  /**
   * There is nothing to append.
   * @remedy Append at least one record.
   */
  EMPTY_BATCH: false,
  /**
   * A record, batch or command is larger than may be.
   * @remedy Split it, or store it elsewhere and append a reference.
   */
  ENTRY_TOO_LARGE: false,
  /**
   * The state of what was asked for does not allow it now.
   * @remedy Read the message: it names the condition and what to do.
   */
  FAILED_PRECONDITION: false,
  /**
   * A file, frame or batch has a format that only a later version of the package knows. Nothing of it was touched.
   * @remedy Upgrade to the version that wrote it, or a later one.
   */
  FORMAT_UNKNOWN: false,
  /**
   * The member of a Raft group that is looked for was destroyed for good, by order.
   * @remedy Destroy the other members too, or remove that one from the group; give a new group another id.
   */
  GROUP_DESTROYED: false,
  /**
   * The handler of a consumer failed at a record as often as it may, and the consumer stopped there.
   * @remedy Mend the handler and start the consumer again: it goes on with that record; or have such records parked, with `onError`.
   */
  HANDLER_FAILED: false,
  /**
   * A folder, file or member belongs to somebody else than it is used as.
   * @remedy Give each node and member its own folder, and all of them the same list of members.
   */
  IDENTITY_MISMATCH: false,
  /**
   * An error that this package did not expect, or a broken invariant of the peer; it is the cause.
   * @remedy Report it, with the stack.
   */
  INTERNAL: false,
  /**
   * An argument makes no sense.
   * @remedy Pass what the message asks for.
   */
  INVALID_ARGUMENT: false,
  /**
   * The package found itself in a state that must never be.
   * @remedy Report it, with the stack and the logs. It is a bug.
   */
  INVARIANT: false,
  /**
   * A snapshot or database is of another log or another machine.
   * @remedy Start the replica on its own log, or with an empty store.
   */
  LOG_MISMATCH: false,
  /**
   * There is no such log stream, or not on this node.
   * @remedy Choose one of the topic, or none.
   */
  LOG_STREAM_NOT_FOUND: false,
  /**
   * A test of a state machine found something wrong with it: details.kind says what.
   * @remedy Correct the machine; the message tells what led there, and how to run it again.
   */
  MACHINE_DEFECT: false,
  /**
   * The member that was asked, or that asks, was removed from its group.
   * @remedy Stop it; to take part again, empty its folder and add it under a new id.
   */
  MEMBER_REMOVED: false,
  /**
   * There is no such thing.
   * @remedy Check the name.
   */
  NOT_FOUND: false,
  /**
   * This member does not lead, or knows no leader.
   * @remedy Ask the member that details.leader names, or try again.
   */
  NOT_LEADER: true,
  /**
   * This replica does not take appends: another one is the primary.
   * @remedy Append to the primary; the client does so automatically.
   */
  NOT_PRIMARY: true,
  /**
   * What became of a transaction cannot be told: outcomes of its time are not kept any more.
   * @remedy See by what it wrote whether it took effect; ask sooner, and give the position that it began at.
   */
  OUTCOME_FORGOTTEN: false,
  /**
   * A number is no position: it must be a whole number from 0 or 1 to 2^53 - 1.
   * @remedy Pass a position that an append or a read returned.
   */
  POSITION_OUT_OF_RANGE: false,
  /**
   * A producer of this id was opened anew and has appended: this one takes part no more.
   * @remedy End it, or give every producer that lives at the same time an id of its own.
   */
  PRODUCER_FENCED: false,
  /**
   * The log stream may have forgotten this producer, and can no longer tell its repeated batches from new ones.
   * @remedy Open the producer anew with topic.producer({ id }).
   */
  PRODUCER_FORGOTTEN: false,
  /**
   * A request id was used before, with another command.
   * @remedy Give every request an id of its own.
   */
  REQUEST_MISMATCH: false,
  /**
   * More waits than may wait.
   * @remedy Slow down, and try again.
   */
  RESOURCE_EXHAUSTED: true,
  /**
   * The log stream is sealed, or was sealed before the append was ordered.
   * @remedy Append to another one, or wait until it opens again; the client does both automatically.
   */
  SEALED: true,
  /**
   * A batch of a producer came without those before it.
   * @remedy Append in the order of sequences; the client does so automatically.
   */
  SEQUENCE_GAP: true,
  /**
   * The session under which a command was sent is closed, and the outcome of the command is not known.
   * @remedy Find out whether it took effect, and use a requestId for commands that may be repeated.
   */
  SESSION_EXPIRED: false,
  /**
   * The state of a replica is not that of others at the same position of the log, and not that of most: it stopped.
   * @remedy Find the command with "varlog replay", and start all replicas with the same code.
   */
  STATE_DIVERGED: false,
  /**
   * The call was not done within its time.
   * @remedy Look at the outcome: a write may still take effect.
   */
  TIMEOUT: true,
  /**
   * There is no such topic.
   * @remedy List the topics; make one with "varlog topic create".
   */
  TOPIC_NOT_FOUND: false,
  /**
   * Records that are asked for were removed.
   * @remedy Begin at details.firstAvailable, where it is given, or start from a snapshot.
   */
  TRIMMED: false,
  /**
   * The server lets in only who shows one of its access tokens; the call showed none, or another one. Or a store of objects refuses the credentials, or what they may do. It did nothing.
   * @remedy Give a token that the server knows: token in a program, --token-file or VARLOG_TOKEN_FILE for a command. For a store of objects: what the message says.
   */
  UNAUTHENTICATED: false,
  /**
   * The other side cannot serve now.
   * @remedy Try again; "varlog status" says why.
   */
  UNAVAILABLE: true,
  /**
   * This version does not have what was asked for, or does not know a format.
   * @remedy Do what the message names, or use the version that knows it.
   */
  UNIMPLEMENTED: false,
  /**
   * Nobody answers at these addresses.
   * @remedy Start the nodes, and check addresses and certificates.
   */
  UNREACHABLE: true,
} as const;

export type ErrorCode = keyof typeof RETRYABLE;

/** What is known about the effect of a failed append or command. */
export type Outcome = 'notAppended' | 'unknown';

export interface ErrorParts {
  /** What happened and where, as a sentence without a full stop. */
  what: string;
  /** The likely cause, where one is known. The message of an error loses its full stop here. */
  because?: string;
  /** What the reader can do now. */
  next?: string;
  /** For writes: `notAppended` never takes effect, `unknown` may take effect once, now or later. */
  outcome?: Outcome;
  /** Facts for programs: positions, ids, addresses. Must survive JSON. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

const MARK = Symbol.for('varlog.error');

/**
 * The one class of operational errors. Tell errors apart by `code`; use {@link VarlogError.is}
 * instead of `instanceof`, because two copies of this package may be loaded.
 */
export class VarlogError extends Error {
  readonly code: ErrorCode;
  /** Whether the same call may succeed when it is tried again. Says nothing about side effects: see `outcome`. */
  readonly retryable: boolean;
  readonly outcome: Outcome | undefined;
  readonly details: Record<string, unknown>;
  readonly [MARK] = true;

  constructor(code: ErrorCode, parts: ErrorParts) {
    super(sentence(code, parts), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = 'VarlogError';
    this.code = code;
    this.retryable = RETRYABLE[code];
    this.outcome = parts.outcome;
    this.details = parts.details ?? {};
  }

  /** Whether `error` comes from this package; with `code`, whether it is that error. */
  static is(error: unknown): error is VarlogError;
  static is<Code extends ErrorCode>(
    error: unknown,
    code: Code,
  ): error is VarlogError & { readonly code: Code };
  static is(error: unknown, code?: ErrorCode): boolean {
    const marked = typeof error === 'object' && error !== null && MARK in error;
    return marked && (code === undefined || (error as VarlogError).code === code);
  }
}

/** Whether `code` is one of ours: for codes that arrive over the wire. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(RETRYABLE, code);
}

function sentence(code: ErrorCode, parts: ErrorParts): string {
  // An error that crossed the wire already carries its sentence.
  if (parts.what.startsWith(`${code}: `)) return parts.what;
  const because = parts.because === undefined ? '' : ` (${unended(parts.because)})`;
  const next = parts.next === undefined ? '' : `; ${unended(parts.next)}`;
  return `${code}: ${unended(parts.what)}${because}${next}.`;
}

/** What quotes another sentence has its full stop, and the sentence around it gives its own. */
function unended(part: string): string {
  return part.replace(/(?<=[\w)\]}"'`])\.$/, '');
}
