import { type Ports, sleep } from '../base/index.ts';
import { World, type WorldOptions } from '../testing/simulator/world.ts';
import { RaftGroup } from './group.ts';
import type { RaftGroupOptions } from './group-options.ts';

export const NAMES = ['a', 'b', 'c'] as const;
export type Name = (typeof NAMES)[number];

const members = NAMES.map((name, i) => ({ id: i + 1, address: `${name}:1` }));

/** Three members on three machines, in virtual time. */
export class SimulatedGroup {
  readonly world: World;
  private readonly overrides: Partial<RaftGroupOptions>;

  constructor(overrides: Partial<RaftGroupOptions> = {}, options: WorldOptions = {}) {
    this.world = new World(1, options);
    this.overrides = overrides;
    for (const name of NAMES) this.world.node(name, (ports) => this.start(name, ports));
  }

  private async start(name: Name, ports: Ports): Promise<RaftGroup> {
    const group = await RaftGroup.open({
      ports,
      groupId: 'g',
      memberId: NAMES.indexOf(name) + 1,
      members,
      directory: 'raft',
      ...this.overrides,
    });
    await ports.network.serve(`${name}:1`, group.handlers);
    return group;
  }

  at(name: Name): RaftGroup {
    return this.world.process(name) as RaftGroup;
  }

  get running(): Name[] {
    return NAMES.filter((it) => this.at(it) !== undefined);
  }

  /** Who leads, once all members but `besides` agree on another one. */
  async leader(besides?: Name, maxMs = 20_000): Promise<Name> {
    let found: Name | undefined;
    await this.world.until(() => {
      const others = this.running.filter((it) => it !== besides);
      const leaders = new Set(others.map((it) => this.at(it).status.leader?.id));
      const [id] = leaders;
      found = NAMES[(id ?? 0) - 1];
      const agreed = leaders.size === 1 && found !== undefined && found !== besides;
      return agreed && this.at(found!)?.status.role === 'leader';
    }, maxMs);
    return found!;
  }

  /** The two that do not lead. */
  followers(leader: Name): [Name, Name] {
    return NAMES.filter((it) => it !== leader) as [Name, Name];
  }

  /** What becomes of a promise, and after how many virtual ms; `never` when it takes longer than `maxMs`. */
  async fate<T>(promise: Promise<T>, maxMs = 30_000): Promise<{ fate: unknown; ms: number }> {
    const beganMs = this.world.nowMs;
    const done = promise.then(
      (value) => value as unknown,
      (error: { code: string; outcome?: string }) =>
        error.outcome === undefined ? error.code : `${error.code} ${error.outcome}`,
    );
    const { clock } = this.world.ports('test');
    const never = sleep(clock, maxMs).then(() => 'never');
    const fate = await this.world.play(() => Promise.race([done, never]), maxMs * 2);
    return { fate, ms: this.world.nowMs - beganMs };
  }
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
