import { randomInt } from 'node:crypto';
import type { EtcdCommand, EtcdResult } from '../machine.ts';
import type { KvService } from '../service.ts';
import { refused } from './etcd-error.ts';
import type { ResponseHeader } from './messages.ts';

/** What all methods of etcd's interface work on. */
export class EtcdContext {
  readonly service: KvService;
  /** A number for this replica, below 2^52. */
  readonly memberId: number;

  constructor(service: KvService, memberId: number) {
    this.service = service;
    this.memberId = memberId;
  }

  /** Of an answer from the store at `revision`. The cluster is the log. */
  readonly header = (revision: number): ResponseHeader => {
    const clusterId = idOf(this.service.log);
    return { clusterId, memberId: this.memberId, revision, raftTerm: 1 };
  };

  /** Has a command take effect. Rejects with an error of etcd's where the machine refuses it. */
  readonly perform = async (command: EtcdCommand): Promise<EtcdResult> => {
    const result = await this.service.perform(command);
    if (result.refused !== undefined) throw refused(result.refused);
    return result;
  };

  /** An id for a lease whose caller has no wish. */
  newLease(): number {
    return randomInt(1, 2 ** 48 - 1);
  }
}

/** A number below 2^52 of a hash in hexadecimal digits; 0 where there is none. */
export function idOf(hash: string): number {
  return hash === '' ? 0 : Number.parseInt(hash.slice(0, 13), 16);
}
