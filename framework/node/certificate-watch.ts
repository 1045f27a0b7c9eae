import { type Clock, type Logger, reasonOf, type Timer, VarlogError } from '../base/index.ts';
import { type CertificateFacts, certificateFacts, tcpAddress } from '../runtime/index.ts';

const DAY_MS = 86_400_000;
/** So long before it ends there is time to make a new one, and to restart all nodes one after the other. */
const WARN_BEFORE_MS = 14 * DAY_MS;
/** The longest pause: a wall clock may be set meanwhile. */
const LOOK_EVERY_MS = DAY_MS;

interface Options {
  /** PEM of the certificate that this node shows. */
  readonly certificate: string;
  /** Where others dial it. */
  readonly address: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Says when the certificate of a node ends, before and after. Connections that are there outlive it, and no new one comes about:
 * a cluster looks well until something is restarted, and then nobody finds anybody any more.
 */
export class CertificateWatch {
  private readonly options: Options;
  private facts: CertificateFacts;
  private timer: Timer | undefined;

  /** Throws `CONFIG_INVALID` for a certificate that nobody would accept of this node now. */
  constructor(options: Options) {
    this.options = options;
    this.facts = usable(options);
    this.look();
  }

  /** Another one is shown from now on. Throws as the constructor, and stays with the one before then. */
  replace(certificate: string): void {
    this.facts = usable({ ...this.options, certificate });
    this.timer?.cancel();
    this.look();
  }

  /** Seconds since 1970 at which it ends. */
  get endsAt(): number {
    return this.facts.to / 1_000;
  }

  /** Why nobody can connect to this node any more; empty while its certificate is valid. */
  notReady(): string[] {
    if (this.options.clock.wall() < this.facts.to) return [];
    const since = new Date(this.facts.to).toISOString();
    return [
      `the certificate of this node ended at ${since}, so it gets no new connections: give it a new one in the same file`,
    ];
  }

  stop(): void {
    this.timer?.cancel();
  }

  private look(): void {
    const { clock, logger } = this.options;
    const left = this.facts.to - clock.wall();
    const ends = new Date(this.facts.to).toISOString();
    if (left <= 0) logger.log('error', 'the certificate of this node has ended', { ends });
    else if (left <= WARN_BEFORE_MS) {
      logger.log('warn', 'the certificate of this node ends soon', { ends });
    }
    const wait = left > 0 ? Math.min(left, LOOK_EVERY_MS) : LOOK_EVERY_MS;
    this.timer = clock.after(wait, () => this.look());
  }
}

function usable({ certificate, address, clock }: Options): CertificateFacts {
  const facts = factsOf(certificate);
  const now = clock.wall();
  const host = tcpAddress(address).host.replace(/^\[|\]$/g, '');
  const refusal = facts.refusalAt(host);
  const [from, to] = [facts.from, facts.to].map((it) => new Date(it).toISOString());
  if (refusal !== undefined) {
    throw invalid(
      `it is not for the host that this node advertises, ${host} (${refusal})`,
      'give the node a certificate that names that host, or advertise one that the certificate names',
    );
  }
  if (now >= facts.to) throw invalid(`it ended at ${to}`, 'give the node a new one');
  if (now < facts.from) {
    throw invalid(`it begins at ${from}`, 'set the clock of this machine, or wait until then');
  }
  return facts;
}

function factsOf(certificate: string): CertificateFacts {
  try {
    return certificateFacts(certificate);
  } catch (cause) {
    throw invalid(`it cannot be read (${reasonOf(cause)})`, 'give a certificate as PEM text');
  }
}

function invalid(because: string, next: string): VarlogError {
  return new VarlogError('CONFIG_INVALID', {
    what: 'nobody could connect to a node with the TLS certificate that it was given',
    because,
    next,
  });
}
