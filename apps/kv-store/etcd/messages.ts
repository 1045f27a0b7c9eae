/**
 * Messages of etcd's interface (etcd.proto), as they are decoded: requests with every field set. Answers may leave fields
 * out, which stand for zero then.
 */

/** `mvccpb.KeyValue`. */
export interface KeyValue {
  readonly key: Uint8Array;
  readonly value?: Uint8Array;
  readonly createRevision?: number;
  readonly modRevision: number;
  readonly version?: number;
  readonly lease?: number;
}

export interface ResponseHeader {
  readonly clusterId?: number;
  readonly memberId?: number;
  readonly revision: number;
  readonly raftTerm?: number;
}

interface Answered {
  header?: ResponseHeader;
}

export const SORT_ORDER = { none: 0, ascend: 1, descend: 2 } as const;
export const SORT_TARGET = { key: 0, version: 1, create: 2, mod: 3, value: 4 } as const;

export interface RangeRequest {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly limit: number;
  readonly revision: number;
  readonly sortOrder: number;
  readonly sortTarget: number;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

export const ALARM_ACTION = { get: 0, activate: 1, deactivate: 2 } as const;

export interface AlarmRequest {
  readonly action: number;
}

export interface AuthenticateRequest {
  readonly password: string;
}

export interface Authenticated {
  readonly token: string;
}

export interface RangeResponse extends Answered {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}

export interface PutRequest {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease: number;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export interface PutResponse extends Answered {
  readonly prevKv?: KeyValue;
}

export interface DeleteRangeRequest {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly prevKv: boolean;
}

export interface DeleteRangeResponse extends Answered {
  readonly deleted: number;
  readonly prevKvs?: readonly KeyValue[];
}

/** One of them, which `request` names. */
export type RequestOp =
  | { readonly request: 'requestRange'; readonly requestRange: RangeRequest }
  | { readonly request: 'requestPut'; readonly requestPut: PutRequest }
  | { readonly request: 'requestDeleteRange'; readonly requestDeleteRange: DeleteRangeRequest }
  | { readonly request: 'requestTxn'; readonly requestTxn: TxnRequest };

export type ResponseOp =
  | { readonly responseRange: RangeResponse }
  | { readonly responsePut: PutResponse }
  | { readonly responseDeleteRange: DeleteRangeResponse }
  | { readonly responseTxn: TxnResponse };

export const COMPARE_RESULT = { equal: 0, greater: 1, less: 2, notEqual: 3 } as const;
export const COMPARE_TARGET = { version: 0, create: 1, mod: 2, value: 3, lease: 4 } as const;

export interface Compare {
  readonly result: number;
  readonly target: number;
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  /** What a key is compared with; the one that `target` is about. Absent: zero. */
  readonly version?: number;
  readonly createRevision?: number;
  readonly modRevision?: number;
  readonly value?: Uint8Array;
  readonly lease?: number;
}

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export interface TxnResponse extends Answered {
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export interface WatchCreateRequest {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly startRevision: number;
  readonly progressNotify: boolean;
  readonly filters: readonly number[];
  readonly prevKv: boolean;
  readonly watchId: number;
  readonly fragment: boolean;
}

/** One of them, which `requestUnion` names. */
export type WatchRequest =
  | { readonly requestUnion: 'createRequest'; readonly createRequest: WatchCreateRequest }
  | { readonly requestUnion: 'cancelRequest'; readonly cancelRequest: { readonly watchId: number } }
  | { readonly requestUnion: 'progressRequest' }
  | { readonly requestUnion?: undefined };

export const EVENT_TYPE = { put: 0, delete: 1 } as const;

export interface WatchResponse extends Answered {
  readonly watchId: number;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly cancelReason?: string;
  readonly fragment?: boolean;
  readonly events?: readonly {
    readonly type: number;
    readonly kv: KeyValue;
    readonly prevKv?: KeyValue;
  }[];
}
