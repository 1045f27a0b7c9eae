import {
  nextStage,
  type Recovered,
  type ReplicaAssignment,
  ReplicaCore,
  type ReplicaEvent,
  type ReplicaStage,
  STAGES,
  type Step,
} from './index.ts';

const EVENTS: readonly ReplicaEvent[] = [
  'seal',
  'isSealed',
  'open',
  'isOpen',
  'isOpenedElsewhere',
  'lacks',
  'learn',
  'fail',
  'damage',
];
const STAGE_NAMES = Object.keys(STAGES) as ReplicaStage[];
/** The log stream of the walks has one record that is ordered, from epoch 1 on. */
const END = 1;
const EPOCHS = [1, 2, 3];
const ROLES = ['primary', 'twin', 'backup', 'none'] as const;
type Role = (typeof ROLES)[number];

/** What was seen of the table. */
const cells = new Set<string>();
const steps = new Set<string>();

class Watched extends ReplicaCore {
  protected override meet(event: ReplicaEvent): void {
    const from = this.stage;
    super.meet(event);
    cells.add(`${from}: ${event} → ${this.stage}`);
  }

  override next(): Step {
    const step = super.next();
    steps.add(`${this.stage}: ${step.kind}`);
    return step;
  }

  copy(): Watched {
    return Object.assign(Object.create(Watched.prototype) as Watched, this);
  }
}

/** A replica, and what its disk has not finished yet. */
interface Situation {
  readonly core: Watched;
  readonly underWay: Step | undefined;
}

function assignment(epoch: number, sealed: boolean, role: Role): ReplicaAssignment {
  const members = { primary: [1, 2], twin: [1, 2], backup: [2, 1], none: [2, 3] }[role];
  const primaryProcess = role === 'twin' ? 'another' : 'p';
  return { epoch, sealed, end: epoch === 0 ? 0 : END, version: 1, members, primaryProcess };
}

/** All that can come next, each from a replica of its own. */
function* following({ core, underWay }: Situation, roles: readonly Role[]): Generator<Situation> {
  const after = (act: (core: Watched) => Step | undefined): Situation => {
    const copy = core.copy();
    return { core: copy, underWay: act(copy) };
  };
  for (const epoch of [0, ...EPOCHS]) {
    for (const sealed of epoch === 0 ? [true] : [true, false]) {
      const wanted = assignment(epoch, sealed, roles[epoch - 1] ?? 'none');
      yield after((it) => {
        it.assign(wanted);
        return underWay;
      });
    }
  }
  for (const how of ['failed', 'damaged'] as const) {
    yield after((it) => {
      it.fail(how);
      return underWay;
    });
  }
  yield after((it) => {
    if (underWay?.kind === 'adopt') {
      it.hasAdopted(underWay.epoch, underWay.sealed);
      return undefined;
    }
    const step = it.next();
    if (step.kind === 'truncate') it.wasTruncated(step.end);
    if (step.kind === 'fetchCommitted') {
      it.receive(END, 1);
      it.wasWritten(END);
      it.commit({ epoch: 1, version: 1, llsn: END, count: 1 });
    }
    return step.kind === 'adopt' ? step : undefined;
  });
}

function walkAll(recovered: Recovered, roles: readonly Role[]): void {
  const first = new Watched({ node: 1, process: 'p' }, recovered);
  const queue: Situation[] = [{ core: first, underWay: undefined }];
  const known = new Set<string>();
  for (let it = queue.pop(); it !== undefined; it = queue.pop()) {
    for (const next of following(it, roles)) {
      const key = JSON.stringify(next);
      if (known.has(key)) continue;
      known.add(key);
      queue.push(next);
    }
  }
}

beforeAll(() => {
  const found: Recovered[] = [0, 1].flatMap((epoch) => [
    { epoch, sealed: true, end: 0, committedEnd: 0, version: 0 },
    { epoch, sealed: false, end: 0, committedEnd: 0, version: 0 },
    // Its last record is not known to be ordered.
    { epoch, sealed: false, end: END + 1, committedEnd: 0, version: 0 },
  ]);
  for (const first of ROLES) {
    for (const second of ROLES) {
      for (const third of ['primary', 'none'] as const) {
        for (const recovered of found) walkAll(recovered, [first, second, third]);
      }
    }
  }
});

test('replicas meet what the table of stages has, and nothing else', () => {
  const listed = STAGE_NAMES.flatMap((stage) =>
    Object.entries(STAGES[stage].on).map(([event, next]) => `${stage}: ${event} → ${next}`),
  );
  expect([...cells].sort()).toEqual(listed.sort());
});

test('every stage asks for what the table says, and for nothing else', () => {
  const listed = STAGE_NAMES.flatMap((stage) =>
    STAGES[stage].steps.map((step) => `${stage}: ${step}`),
  );
  expect([...steps].sort()).toEqual(listed.sort());
});

test('what cannot happen is refused', () => {
  for (const stage of STAGE_NAMES) {
    for (const event of EVENTS) {
      const next = STAGES[stage].on[event];
      if (next === undefined) expect(() => nextStage(stage, event)).toThrow(/never meets/);
      else expect(nextStage(stage, event)).toBe(next);
    }
  }
});
