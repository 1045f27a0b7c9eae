import { type Clock, type Logger, type Timer, untilNextLook } from '../base/index.ts';

const LOOK_EVERY_MS = 1_000;
/** A role that failed may still be cured from another node's copies: this is how long it has to begin to be. */
const LOST_AFTER_MS = 10_000;

/** What a process runs, and why it is of no use until it is started again; `undefined` while it is. */
export interface Role {
  readonly name: string;
  failure(): string | undefined;
}

/** All roles of a process failed, and nothing but starting it again helps. */
export class NodeFailed extends Error {}

/** Says in the log which role of a process failed, and when none is left that is worth going on for. */
export class FailureWatch {
  /** Resolves when all roles have failed for a while. */
  readonly failed: Promise<NodeFailed>;
  private readonly roles: readonly Role[];
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly reported = new Map<string, string>();
  private since: number | undefined;
  private timer: Timer;
  private end: (error: NodeFailed) => void = () => {};

  constructor(roles: readonly Role[], { clock, logger }: { clock: Clock; logger: Logger }) {
    this.roles = roles;
    this.clock = clock;
    this.logger = logger;
    this.failed = new Promise((resolve) => {
      this.end = resolve;
    });
    this.timer = this.lookLater();
  }

  stop(): void {
    this.timer.cancel();
  }

  private look(): void {
    const reasons = this.roles.map((it) => this.report(it));
    const isLost = reasons.every((it) => it !== undefined);
    const now = this.clock.now();
    this.since = isLost ? (this.since ?? now) : undefined;
    if (this.since !== undefined && now - this.since >= LOST_AFTER_MS) {
      this.end(new NodeFailed(reasons.join('; ')));
      return;
    }
    this.timer = this.lookLater();
  }

  private lookLater(): Timer {
    return this.clock.after(untilNextLook(this.clock, LOOK_EVERY_MS), () => this.look());
  }

  /** Once for each reason. */
  private report({ name, failure }: Role): string | undefined {
    const reason = failure();
    if (reason === this.reported.get(name)) return reason;
    if (reason === undefined) {
      this.reported.delete(name);
      this.logger.log('info', 'a role of this node is of use again', { role: name });
    } else {
      this.reported.set(name, reason);
      this.logger.log('error', 'a role of this node failed', { role: name, reason });
    }
    return reason;
  }
}
