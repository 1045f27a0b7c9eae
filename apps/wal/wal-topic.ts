import { type CallLimits, json, type OrderedLog, type RecordLog, type Varlog } from 'varlog/log';
import { z } from 'zod';

const Pair = z.tuple([z.string(), z.string()]);

const WalRecordSchema = z.discriminatedUnion('op', [
  z.object({ op: z.literal('put'), key: z.string().min(1), value: z.string() }),
  z.object({ op: z.literal('delete'), key: z.string().min(1) }),
  // All pairs there are: whoever has nothing can begin here.
  z.object({ op: z.literal('checkpoint'), pairs: z.array(Pair) }),
]);

/** A record of the write-ahead log. */
export type WalRecord = z.infer<typeof WalRecordSchema>;

export const walCodec = json(WalRecordSchema);

/** The log that the store writes ahead to: of a cluster, or in memory in tests. */
export interface WalTopic {
  readonly records: Pick<RecordLog<WalRecord, WalRecord>, 'append' | 'fence' | 'read' | 'tail'>;
  /** Which log it is, and where it ends as of now. */
  readonly log: Pick<OrderedLog, 'identity' | 'tail'>;
  /** Removes the records up to `position`, for good. */
  trim(position: number, limits?: CallLimits): Promise<void>;
}

/** Topic `id` of a cluster as a write-ahead log. */
export function walTopic(varlog: Varlog, id: number): WalTopic {
  const records = varlog.topic(id, { codec: walCodec });
  return {
    records,
    log: records.asOrderedLog(),
    trim: (position, limits) => records.trim(position, limits),
  };
}
