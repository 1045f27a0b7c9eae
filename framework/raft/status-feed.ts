import {
  BehaviorSubject,
  defer,
  distinctUntilChanged,
  map,
  type Observable,
  Subject,
  startWith,
} from 'rxjs';
import type { RaftPositions, RaftStatus } from './status.ts';

/** What is told at once when it changes, beside the leader. */
const WATCHED = [
  'role',
  'term',
  'identity',
  'voters',
  'learners',
  'members',
  'changing',
  'removed',
  'destroyedAt',
] as const;

/** Tells those who watch a member what its status is, and how far its log is. */
export class StatusFeed {
  readonly status$: Observable<RaftStatus>;
  readonly positions$: Observable<RaftPositions>;
  private readonly current: () => RaftStatus;
  private readonly subject: BehaviorSubject<RaftStatus>;
  private readonly positions = new Subject<RaftPositions>();

  constructor(current: () => RaftStatus) {
    this.current = current;
    this.subject = new BehaviorSubject(current());
    this.status$ = this.subject.asObservable();
    this.positions$ = defer(() => this.positions.pipe(startWith(current()))).pipe(
      map(({ commit, applied }) => ({ commit, applied })),
      distinctUntilChanged((a, b) => a.commit === b.commit && a.applied === b.applied),
    );
  }

  /** The status as it was told last. */
  get told(): RaftStatus {
    return this.subject.value;
  }

  /** Tells the status, whatever changed in it. */
  tell(): void {
    this.subject.next(this.current());
  }

  /** Tells the status where something changed in it that is watched. */
  tellChanges(): void {
    const { told } = this;
    const now = this.current();
    const sameLeader = told.leader?.id === now.leader?.id;
    if (!sameLeader || WATCHED.some((it) => told[it] !== now[it])) this.subject.next(now);
  }

  tellPositions(): void {
    if (this.positions.observed) this.positions.next(this.current());
  }

  complete(): void {
    this.subject.complete();
    this.positions.complete();
  }
}
