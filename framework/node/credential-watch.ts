import { type Clock, type Logger, reasonOf, type Timer } from '../base/index.ts';
import type { CertificateWatch } from './certificate-watch.ts';
import type { CredentialFiles } from './credential-files.ts';

const LOOK_EVERY_MS = 5_000;

interface Options {
  readonly files: CredentialFiles;
  readonly certificate: CertificateWatch | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Has a node take over what changes in its files of certificates and access tokens while it runs. */
export class CredentialWatch {
  private readonly options: Options;
  private timer: Timer | undefined;
  private refused: string | undefined;
  private said: string | undefined;

  constructor(options: Options) {
    this.options = options;
    this.rest();
  }

  /** Whether the files have something that cannot be used, so that the node goes on with what it had. */
  get isRefused(): boolean {
    return this.said !== undefined;
  }

  stop(): void {
    this.timer?.cancel();
  }

  private rest(): void {
    this.timer = this.options.clock.after(LOOK_EVERY_MS, () => {
      this.look();
      this.rest();
    });
  }

  private look(): void {
    const { files, certificate, logger } = this.options;
    try {
      const changed = files.look((pem) => {
        if (pem !== undefined) certificate?.replace(pem);
      });
      this.refused = undefined;
      this.said = undefined;
      for (const it of changed) logger.log('info', `changed ${it} are in use from now on`);
    } catch (error) {
      const reason = reasonOf(error);
      // Several files are not replaced in one moment: what is wrong once only is no news.
      const lasts = reason === this.refused;
      this.refused = reason;
      if (!lasts || this.said === reason) return;
      this.said = reason;
      const event =
        'changed certificates or tokens cannot be used: this node goes on with those of before';
      logger.log('error', event, { reason });
    }
  }
}
