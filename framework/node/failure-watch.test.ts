import type { Clock, Timer } from '../base/index.ts';
import { exitCodeOf } from './exit-code.ts';
import { FailureWatch, NodeFailed } from './failure-watch.ts';

/** Two roles whose failures a test sets, and a clock that it moves. */
class Watched {
  readonly reasons: Record<string, string | undefined> = {
    metadata: undefined,
    storage: undefined,
  };
  readonly logged: string[] = [];
  readonly watch: FailureWatch;
  ended: NodeFailed | undefined;
  private now = 0;
  private ring: () => void = () => {};

  constructor() {
    const clock: Clock = {
      now: () => this.now,
      wall: () => this.now,
      defer: queueMicrotask,
      after: (_, ring): Timer => {
        this.ring = ring;
        return { cancel: () => {} };
      },
    };
    const roles = ['metadata', 'storage'].map((name) => ({
      name,
      failure: () => this.reasons[name],
    }));
    const log = (level: string, event: string, fields?: object): void => {
      this.logged.push(`${level} ${event} ${JSON.stringify(fields)}`);
    };
    this.watch = new FailureWatch(roles, { clock, logger: { log } });
    void this.watch.failed.then((error) => {
      this.ended = error;
    });
  }

  async pass(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.now += 1_000;
      this.ring();
    }
    await Promise.resolve();
  }
}

test('a node with one healthy role goes on, and says once which one failed', async () => {
  const it = new Watched();
  it.reasons['storage'] = 'EIO';
  await it.pass(60);
  expect(it.ended).toBeUndefined();
  expect(it.logged).toEqual(['error a role of this node failed {"role":"storage","reason":"EIO"}']);
});

test('what was cured in time does not end a node', async () => {
  const it = new Watched();
  it.reasons['metadata'] = 'DISK_LOST';
  for (let i = 0; i < 5; i++) {
    it.reasons['storage'] = 'EIO';
    await it.pass(9);
    it.reasons['storage'] = undefined;
    await it.pass(1);
  }
  expect(it.ended).toBeUndefined();
  expect(it.logged.at(-1)).toMatch('a role of this node is of use again');
});

test('with all roles failed for a while the node ends, with an exit code of its own', async () => {
  const it = new Watched();
  it.reasons['metadata'] = 'DISK_LOST';
  it.reasons['storage'] = 'EIO';
  await it.pass(9);
  expect(it.ended).toBeUndefined();
  await it.pass(3);
  expect(it.ended).toBeInstanceOf(NodeFailed);
  expect(it.ended!.message).toBe('DISK_LOST; EIO');
  expect(exitCodeOf(it.ended)).toBe(74);
});
