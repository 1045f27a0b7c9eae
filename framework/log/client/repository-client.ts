import {
  Backoff,
  type Clock,
  type ClusterId,
  type MemberId,
  type Ports,
  reasonOf,
  type UnaryMethod,
  VarlogError,
} from '../../base/index.ts';
import {
  ExecuteRequest,
  MembersRequest,
  type MembersResponse,
  Ordering,
} from '../../wire/gen/log.ts';
import { type MetadataCommand, NEWEST_FEATURE_LEVEL } from '../core/index.ts';
import { commandCodec } from '../metadata-codec.ts';
import { LOG_TIMES } from '../timing.ts';
import { type CallLimits, type StepLimits, withinLimits } from './call-limit.ts';
import type { ClientChannels } from './client-channels.ts';
import type { MemberStatus } from './cluster-status.ts';
import { hedged } from './hedged.ts';

const PROBE_TIMEOUT_MS = 1_000;

/** By these a member says that it is not fit to be asked, before it does anything. */
const MEMBER_REFUSALS: ReadonlySet<string> = new Set([
  'CLUSTER_MISMATCH',
  'DISK_LOST',
  'IDENTITY_MISMATCH',
  'MEMBER_REMOVED',
  'UNIMPLEMENTED',
]);
/** These can meet it in the middle of something. */
const MEMBER_FAULTS: ReadonlySet<string> = new Set([
  'APPLY_FAILED',
  'CORRUPT',
  'DISK_FAILED',
  'FORMAT_UNKNOWN',
]);

/** Of a call that may have reached a member, which did not say what became of it. */
const UNANSWERED: ReadonlySet<string> = new Set(['TIMEOUT', 'UNAVAILABLE', 'CANCELLED', 'CLOSED']);

export interface CallPlan extends CallLimits {
  /** What is being done, for messages: "listing the topics". */
  readonly what: string;
  /** Whether a call that may have been carried out is sent again. Default: yes. */
  readonly idempotent?: boolean;
  /** Whether the leader is asked first, where it is known: any other member would have to ask it. Default: no. */
  readonly leaderFirst?: boolean;
}

/** Calls whichever members of the metadata repository answer. */
export class RepositoryClient {
  private readonly clock: Clock;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly channels: ClientChannels;
  private readonly endpoints: readonly string[];
  private readonly lifetime: AbortSignal;
  private clusterId: ClusterId | undefined;
  private addresses: string[];
  private preferred = 0;
  private knownLevel = 0;
  /** What the last try met, while none has succeeded since. */
  trouble: unknown;
  /** Address of the member that led when the members were asked for last, until it does not answer. */
  private leader: string | undefined;

  constructor(
    ports: Pick<Ports, 'clock' | 'random'>,
    channels: ClientChannels,
    endpoints: readonly string[],
    options: {
      clusterId: ClusterId | undefined;
      cluster: string | undefined;
      lifetime: AbortSignal;
    },
  ) {
    this.ports = ports;
    this.lifetime = options.lifetime;
    this.clock = ports.clock;
    this.channels = channels;
    this.endpoints = endpoints;
    this.clusterId = options.clusterId;
    channels.cluster = options.cluster;
    this.addresses = [...endpoints];
  }

  /** Has a command of the metadata carried out, as an operator. Resolves with what it answers. */
  async command(command: MetadataCommand, plan: CallPlan): Promise<number> {
    const bytes = commandCodec(NEWEST_FEATURE_LEVEL).encode(command);
    const request = ExecuteRequest.create({ command: bytes });
    return (await this.call(Ordering.Execute, request, plan)).value;
  }

  /**
   * Asks who the members are, so that the client does not depend on those it was told of. Rejects
   * with `CLUSTER_MISMATCH` when another cluster answers than the one expected or met before.
   */
  async members(limits: CallLimits = {}): Promise<{
    cluster: string;
    clusterId: ClusterId;
    featureLevel: number;
    leader?: MemberId;
    members: MembersResponse['members'];
  }> {
    const found = await this.call(
      Ordering.Members,
      MembersRequest.create({}),
      { what: 'asking for the members of the cluster', ...limits },
      (it) => this.checkCluster(it),
    );
    const others = found.members.map((it) => it.address).filter((it) => it !== '');
    const current = this.addresses[this.preferred];
    this.addresses = [...new Set([...others, ...this.endpoints])];
    this.preferred = Math.max(0, this.addresses.indexOf(current ?? ''));
    this.knownLevel = Math.max(this.knownLevel, found.featureLevel);
    this.leader = found.members.find((it) => it.id === found.leader)?.address;
    const { cluster, clusterId, featureLevel, leader, members } = found;
    const known = { cluster, clusterId, featureLevel, members };
    return leader === 0 ? known : { ...known, leader };
  }

  /** The highest feature level that the cluster is known to have agreed on; 0: nobody was asked yet. */
  get featureLevel(): number {
    return this.knownLevel;
  }

  /** How one member answers: `up`, or the code of its error; what it says is wrong with it, and what its version knows. */
  async probe(
    { id, address }: { id: MemberId; address: string },
    signal?: AbortSignal,
  ): Promise<Omit<MemberStatus, 'id' | 'address' | 'votes'>> {
    const options = { timeoutMs: PROBE_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) };
    try {
      const channel = this.channels.to(address);
      const answer = await channel.call(Ordering.Members, MembersRequest.create({}), options);
      const { trouble, supportedLevel, change, self } = answer;
      if (self !== null && self.id !== id) {
        const trouble = `member ${self.id} listens there; start both at the addresses that the list of members has for them`;
        return { state: 'IDENTITY_MISMATCH', trouble };
      }
      return {
        state: 'up',
        supportedLevel,
        ...(trouble !== '' && { trouble }),
        ...(change !== '' && { change }),
      };
    } catch (error) {
      if (VarlogError.is(error)) return { state: error.code, trouble: error.message };
      throw error;
    }
  }

  /**
   * Calls one member after the other until one answers, and `check` throws nothing about the answer. Rejects with
   * `UNREACHABLE` or `TIMEOUT` when none does, and with what is wrong with them when all of them say that it is
   * themselves: a lost disk, another cluster. What is not idempotent is sent once: it rejects with an `outcome`
   * where it was not answered.
   */
  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    plan: CallPlan,
    check: (response: Response) => void = () => {},
  ): Promise<Response> {
    const limits = { timeoutMs: LOG_TIMES.callTimeoutMs, ...plan, lifetime: this.lifetime };
    return withinLimits(this.clock, limits, (limit) =>
      this.attempt(method, request, { ...plan, check }, limit),
    );
  }

  private async attempt<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    plan: CallPlan & { check: (response: Response) => void },
    limit: StepLimits,
  ): Promise<Response> {
    const backoff = new Backoff(this.ports.random, 50, 500);
    const start = this.clock.now();
    let last: unknown;
    let answer: unknown;
    const fates = new Map<string, unknown>();
    if (plan.leaderFirst === true && this.leader !== undefined) {
      this.preferred = Math.max(0, this.addresses.indexOf(this.leader));
    }
    for (let tries = 1; ; tries++) {
      const address = this.addresses[this.preferred % this.addresses.length]!;
      try {
        const response =
          plan.idempotent === false
            ? await this.channels.to(address).call(method, request, { signal: limit.signal })
            : await this.askHedged(method, request, limit.signal);
        plan.check(response);
        this.trouble = undefined;
        // Some addresses may lead nowhere any more, because the members have changed.
        if (tries > 1 && method.path !== Ordering.Members.path) this.members().catch(() => {});
        return response;
      } catch (error) {
        if (plan.idempotent === false && isUnanswered(error)) throw unanswered(plan.what, error);
        if (!limit.signal.aborted) {
          const idempotent = plan.idempotent !== false;
          if (!isOfMember(error, idempotent) && !isElsewhere(error, idempotent)) throw error;
          last = error;
          if (isAnswer(error)) answer = error;
          this.trouble = error;
          fates.set(address, error);
          this.leader = undefined;
          this.throwIfNoneIsFit(fates, tries, idempotent);
          this.turnTo(error);
          if (tries % this.addresses.length === 0) {
            await backoff.pause(this.clock, limit.signal);
          }
        }
      }
      if (!limit.signal.aborted) continue;
      // Whoever calls next had better not wait for it as long.
      if (last === undefined) this.preferred = (this.preferred + 1) % this.addresses.length;
      const { reason } = limit.signal;
      if (last === undefined || !VarlogError.is(reason, 'TIMEOUT')) throw reason;
      throw this.noSuccess(plan, tries, this.clock.now() - start, answer ?? last);
    }
  }

  /** Asks the preferred member, and the next one too when it stands still. */
  private async askHedged<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    signal: AbortSignal,
  ): Promise<Response> {
    const { addresses, preferred, channels } = this;
    const asked = [preferred, preferred + 1].slice(0, addresses.length);
    const asks = asked.map(
      (it) => (own: AbortSignal) =>
        channels
          .to(addresses[it % addresses.length]!)
          .call(method, request, { signal: own, timeoutMs: LOG_TIMES.tryTimeoutMs }),
    );
    const { answer, by } = await hedged(this.clock, signal, LOG_TIMES.hedgeAfterMs, asks);
    if (by === 1) this.leader = undefined;
    if (by === 1 && this.addresses === addresses) this.preferred = asked[1]! % addresses.length;
    return answer;
  }

  /**
   * Throws what is wrong with the members when nobody is left who may be well: all say so themselves, or those
   * that can be reached are of another cluster, twice.
   */
  private throwIfNoneIsFit(
    fates: ReadonlyMap<string, unknown>,
    tries: number,
    idempotent: boolean,
  ): void {
    const all = this.addresses.map((it) => fates.get(it));
    const unfit = all.filter((it) => isOfMember(it, idempotent));
    if (unfit.length === 0) return;
    if (unfit.length === all.length) throw unfit[0];
    const rest = all.filter((it) => !VarlogError.is(it, 'UNREACHABLE'));
    const isOther = rest.every((it) => VarlogError.is(it, 'CLUSTER_MISMATCH'));
    if (isOther && tries >= 2 * all.length) throw rest[0];
  }

  /** To the leader, where the refusal names it; otherwise to the next one. */
  private turnTo(error: unknown): void {
    this.preferred = (this.preferred + 1) % this.addresses.length;
    const leader = VarlogError.is(error, 'NOT_LEADER') ? error.details['leader'] : undefined;
    if (typeof leader !== 'string' || leader === '') return;
    if (!this.addresses.includes(leader)) this.addresses.push(leader);
    this.preferred = this.addresses.indexOf(leader);
  }

  private checkCluster({ clusterId, cluster }: MembersResponse): void {
    if (cluster === '') {
      throw new VarlogError('UNAVAILABLE', {
        what: 'the metadata repository has no leader yet, so it is not known which cluster it is',
        next: 'start its members: all of them where the cluster is new, otherwise a majority',
      });
    }
    const expected = this.clusterId ?? clusterId;
    if (expected !== clusterId) throw this.mismatch(String(expected), String(clusterId));
    this.clusterId = clusterId;
    this.channels.cluster ??= cluster;
    if (this.channels.cluster !== cluster) throw this.mismatch(this.channels.cluster, cluster);
  }

  private mismatch(expected: string, found: string): VarlogError {
    return new VarlogError('CLUSTER_MISMATCH', {
      what: `cluster ${found} answers at ${this.addresses.join(', ')}, not cluster ${expected}`,
      because: 'the endpoints may be of another cluster, or the cluster was made anew',
      next: 'check the endpoints and the cluster id, and connect again',
      details: { expected, found },
    });
  }

  /** `cause`: the last answer of a member, and where there was none, why. */
  private noSuccess(plan: CallPlan, tries: number, ms: number, cause: unknown): VarlogError {
    const { what, idempotent } = plan;
    // Each try was refused.
    const outcome = idempotent === false ? { outcome: 'notAppended' as const } : {};
    const at = this.addresses.join(', ');
    const spent = `${tries} tries in ${(ms / 1000).toFixed(1)} s; last: ${reasonOf(cause)}`;
    if (VarlogError.is(cause, 'UNREACHABLE')) {
      return new VarlogError('UNREACHABLE', {
        what: `no node answered at ${at}`,
        because: spent,
        next: 'start a cluster with "npx varlog up", or check the endpoints (VARLOG_URL)',
        details: { addresses: this.addresses },
        ...outcome,
        cause,
      });
    }
    return new VarlogError('TIMEOUT', {
      what: `${what} did not succeed at ${at}`,
      because: spent,
      next: 'start members until a majority of the metadata repository is up: /readyz of each says what it lacks',
      details: { addresses: this.addresses },
      ...outcome,
      cause,
    });
  }
}

/** Whether a member said so itself. */
function isAnswer(error: unknown): boolean {
  return !VarlogError.is(error, 'UNREACHABLE') && !isUnanswered(error);
}

/** Whether a call was sent, and may have been carried out all the same. */
function isUnanswered(error: unknown): error is VarlogError {
  return VarlogError.is(error) && error.outcome === undefined && UNANSWERED.has(error.code);
}

function unanswered(what: string, cause: VarlogError): VarlogError {
  return new VarlogError(cause.code, {
    what: `${what} was not answered, and may have been carried out`,
    because: cause.message,
    next: 'see with "varlog status" whether it was, before you ask for it again',
    outcome: 'unknown',
    cause,
  });
}

/** Whether it is the member's own fault, the next one may be well, and asking it does no harm. */
function isOfMember(error: unknown, idempotent: boolean): boolean {
  if (!VarlogError.is(error)) return false;
  return MEMBER_REFUSALS.has(error.code) || (idempotent && MEMBER_FAULTS.has(error.code));
}

/** Whether another member, or the same one a little later, may answer. */
function isElsewhere(error: unknown, idempotent: boolean): boolean {
  if (VarlogError.is(error, 'UNREACHABLE') || VarlogError.is(error, 'NOT_LEADER')) return true;
  if (!VarlogError.is(error)) return false;
  // One that is being added, for example, knows nothing yet and does nothing.
  if (error.code === 'UNAVAILABLE' && error.outcome === 'notAppended') return true;
  if (!idempotent) return false;
  return error.retryable || error.code === 'CLOSED' || error.code === 'CANCELLED';
}
