import { from, Observable } from 'rxjs';
import { VarlogError } from 'varlog/log';
import type { Replica } from 'varlog/smr';
import type { Change, KvCommand, KvMachine, KvResult, Versioned } from './machine.ts';

export interface ReadOptions {
  /** Answer from what this replica has, without asking the others. */
  stale?: boolean;
}

export interface WriteOptions {
  /** Unique: the same id takes effect once, however often and wherever it is sent. */
  requestId?: string;
}

/** The key-value store as its faces (gRPC, HTTP) see it. */
export class KvService {
  private readonly replica: Replica<KvCommand, KvResult, KvMachine>;

  constructor(replica: Replica<KvCommand, KvResult, KvMachine>) {
    this.replica = replica;
  }

  async put(key: string, value: string, options?: WriteOptions): Promise<KvResult> {
    return this.execute({ op: 'put', key: checked(key), value }, options);
  }

  async delete(key: string, options?: WriteOptions): Promise<KvResult> {
    return this.execute({ op: 'delete', key: checked(key) }, options);
  }

  async compareAndSet(
    key: string,
    expected: number,
    value: string,
    options?: WriteOptions,
  ): Promise<KvResult> {
    return this.execute({ op: 'compareAndSet', key: checked(key), expected, value }, options);
  }

  get(key: string, options?: ReadOptions): Promise<Versioned | undefined> {
    return this.replica.query((machine) => machine.get(key), consistency(options));
  }

  /** The keys with a prefix, and the revision of the state that they were read from. */
  list(
    prefix: string,
    options?: ReadOptions,
  ): Promise<{ items: (Versioned & { key: string })[]; revision: number }> {
    return this.replica.query(
      (machine) => ({ items: machine.list(prefix), revision: this.replica.position }),
      consistency(options),
    );
  }

  /**
   * Every change of the keys with `prefix` from revision `from` on (left out: from now on), each
   * once, in order. Errors with `TRIMMED` when that revision is no longer known here.
   */
  watch$(prefix: string, from_ = this.replica.position + 1): Observable<Change> {
    return new Observable<Change>((subscriber) => {
      let seen = from_ - 1;
      const known = this.replica.machine.changesFrom(from_);
      if (known === undefined) {
        subscriber.error(noLongerKnown(from_));
        return;
      }
      const next = (change: Change): void => {
        if (change.revision <= seen) return;
        seen = change.revision;
        if (change.key.startsWith(prefix)) subscriber.next(change);
      };
      subscriber.add(from(known).subscribe(next));
      // What was applied since is in the machine's history: a state may stand for many commands.
      const newer = (machine: KvMachine): void => {
        const changes = machine.changesFrom(seen + 1);
        if (changes === undefined) subscriber.error(noLongerKnown(seen + 1));
        else for (const change of changes) next(change);
      };
      subscriber.add(
        this.replica.state$.subscribe({
          next: newer,
          error: (error) => subscriber.error(error),
          complete: () => subscriber.complete(),
        }),
      );
    });
  }

  private execute(command: KvCommand, options: WriteOptions = {}): Promise<KvResult> {
    const { requestId } = options;
    return this.replica.execute(requestId === undefined ? command : { ...command, requestId });
  }
}

function noLongerKnown(revision: number): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `changes from revision ${revision} on are no longer known`,
    next: 'list the keys, then watch from the revision behind that of the list',
  });
}

function consistency(options: ReadOptions = {}): { consistency: 'stale' | 'linearizable' } {
  return { consistency: options.stale === true ? 'stale' : 'linearizable' };
}

function checked(key: string): string {
  if (key !== '') return key;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: 'the key is empty',
    next: 'give a key of at least one character',
    outcome: 'notAppended',
  });
}
