import { type Channel, type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import * as admpb from '../../framework/wire/gen/admpb.ts';
import { ReplicaDescriptor } from '../../framework/wire/gen/varlogpb.ts';

const service = admpb.ClusterManager;

/**
 * An operator who, while a cluster goes through faults, seals log streams of a topic, takes replicas away, gives others and
 * unseals them, at whichever member answers, and takes a refusal for an answer. In the end every log stream is
 * unsealed, on the replicas that it has by then.
 */
export async function operate(
  ports: Ports,
  { endpoints, topicId, over }: { endpoints: string[]; topicId: number; over: () => boolean },
): Promise<void> {
  const { random, clock } = ports;
  const pick = <T>(items: readonly T[]): T => items[random.below(items.length)]!;
  const nodes = endpoints.map((_, i) => i + 1);
  while (!over()) {
    await sleep(clock, 200 + random.below(800));
    const one = new Operator(ports, pick(endpoints), topicId);
    await one.perform(async () => {
      const id = pick(await one.logStreams());
      await one.seal(id);
      // Either all but one are to go, or one is to come: mostly while some node is down.
      const kept = pick(nodes);
      const shrinks = random.below(2) === 0;
      for (const node of shrinks ? nodes.filter((it) => it !== kept) : [kept]) {
        await sleep(clock, random.below(300));
        await one.update(id, node, shrinks).catch(refusalIsFine);
      }
      if (random.below(4) > 0) await one.unseal(id);
    });
  }
  for (const endpoint of [...endpoints, ...endpoints, ...endpoints]) {
    const one = new Operator(ports, endpoint, topicId);
    const done = await one.perform(async () => {
      for (const id of await one.logStreams()) await one.unseal(id);
    });
    if (done) return;
  }
}

class Operator {
  private readonly channel: Channel;
  private readonly topicId: number;

  constructor(ports: Ports, endpoint: string, topicId: number) {
    this.channel = ports.network.connect(endpoint);
    this.topicId = topicId;
  }

  /** Whether it worked to the end. */
  async perform(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      refusalIsFine(error);
      return false;
    } finally {
      this.channel.close();
    }
  }

  async logStreams(): Promise<number[]> {
    const request = admpb.DescribeTopicRequest.create({ topicId: this.topicId });
    const { topic } = await this.channel.call(service.DescribeTopic, request, limits);
    return topic!.logStreams;
  }

  async seal(logStreamId: number): Promise<void> {
    const { topicId } = this;
    const request = admpb.SealRequest.create({ topicId, logStreamId });
    await this.channel.call(service.Seal, request, limits);
  }

  async unseal(logStreamId: number): Promise<void> {
    const { topicId } = this;
    const request = admpb.UnsealRequest.create({ topicId, logStreamId });
    await this.channel.call(service.Unseal, request, limits);
  }

  async update(logStreamId: number, storageNodeId: number, pop: boolean): Promise<void> {
    const { topicId } = this;
    const replica = ReplicaDescriptor.create({ storageNodeId });
    const change = pop ? { poppedReplica: replica } : { pushedReplica: replica };
    const request = admpb.UpdateLogStreamRequest.create({ topicId, logStreamId, ...change });
    await this.channel.call(service.UpdateLogStream, request, limits);
  }
}

const limits = { timeoutMs: 6_000 };

function refusalIsFine(error: unknown): void {
  if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
}
