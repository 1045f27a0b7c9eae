import { type Ports, sleep } from '../base/index.ts';
import { hashOf } from './canonical.ts';
import { checksSaid } from './checks-said.ts';
import { jsonCodec, versionOf } from './codecs.ts';
import { encodeCheck } from './envelope.ts';
import type { LogFollower } from './log-follower.ts';
import { tagOf } from './log-identity.ts';
import type { ReplicaOptions } from './replica-options.ts';
import { StateCheck } from './state-check.ts';

/** What a replica says of its state is said in this time, or not. */
const CHECK_MS = 5_000;
/** So long the others may take to say what their state is, where this one differs. */
const DISPUTE_MS = 2_000;

/** The check of a replica's states by its log; `undefined` where the replica has no part in that. */
export function replicaCheck<Command, Result, Machine>(
  options: ReplicaOptions<Command, Result, unknown, Machine>,
  { clock, random }: Pick<Ports, 'clock' | 'random'>,
  follower: LogFollower<Command, Result>,
): StateCheck | undefined {
  const { machine, checkEvery: every, log, codec, readOnly = false } = options;
  if (every === undefined || readOnly) return undefined;
  const version = versionOf(codec?.snapshot ?? jsonCodec());
  const tag = (): Uint8Array => tagOf(follower.identity);
  return new StateCheck({
    every,
    random,
    hash: () => hashOf(machine, version),
    isLevel: () => follower.isLevel,
    pause: () => sleep(clock, DISPUTE_MS, follower.signal).catch(() => {}),
    saidAfter: (position, checked) =>
      follower.lookAhead((it) => checksSaid(log, tag(), { position, checked }, it)),
    write: (it) => log.append([encodeCheck(tag(), it)], { timeoutMs: CHECK_MS }),
  });
}
