/** One thing that an implementation owes to its users. */
export interface ContractTest {
  readonly title: string;
  /** Rejects, with what was expected and what was found instead, where the implementation does not do it. */
  run(): Promise<void>;
}

/** Something to be tested, and what ends it. */
export interface Closable {
  close(): Promise<void>;
}

/** Registers one test of a contract: `play` gets what is to be tested, made anew. */
export type Register<Subject> = (title: string, play: (subject: Subject) => Promise<void>) => void;

/** The tests that `register` registers. Each makes a subject of its own, and closes it whatever comes. */
export function contractTests<Subject extends Closable>(
  make: () => Promise<Subject>,
  register: (test: Register<Subject>) => void,
): ContractTest[] {
  const tests: ContractTest[] = [];
  register((title, play) => {
    const run = async (): Promise<void> => {
      const subject = await make();
      try {
        await play(subject);
      } finally {
        await subject.close();
      }
    };
    tests.push({ title, run });
  });
  return tests;
}

/** Matches every text that has `part` in it. */
export function containing(part: string): RegExp {
  return new RegExp(part.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
}
