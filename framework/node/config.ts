import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import {
  isTcpAddress,
  LARGEST_RECORD_BYTES,
  RECORD_BYTES_MAX,
  reasonOf,
  VarlogError,
} from '../base/index.ts';
import { REBALANCE_BYTES } from '../log/core/index.ts';
import { CACHE_BYTES, PENDING_BYTES } from '../log/storage-node/index.ts';
import { isWildcard } from '../runtime/index.ts';

const address = z
  .string()
  .refine(isTcpAddress, 'must be host:port, with an IPv6 address in brackets: [::1]:9092');
const id = z.coerce
  .number()
  .int()
  .min(1)
  .max(2 ** 31 - 1);

const member = z.object({ id, address });
/** `1=host:port,2=host:port` as a text, or a list of objects in a file. */
const members = z.preprocess((value) => {
  if (typeof value !== 'string') return value;
  return value.split(',').map((part) => {
    const [memberId, memberAddress] = part.split('=');
    return { id: memberId, address: memberAddress };
  });
}, z.array(member).min(1));
const bytes = z.coerce.number().int().min(1_048_576).max(Number.MAX_SAFE_INTEGER);
const file = z.string().min(1).optional();
const yesOrNo = z.preprocess(
  (value) => (typeof value === 'boolean' ? String(value) : value),
  z.stringbool(),
);
const list = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(',') : value),
  z.array(z.enum(['metadata', 'storage'])).min(1),
);

const schema = z
  .strictObject({
    clusterId: id.default(1).describe('all nodes of a cluster and its clients name the same id'),
    nodeId: id.default(1).describe('this node; unique in the cluster'),
    memberId: id
      .optional()
      .describe('this node as a member of the metadata repository, where that is not nodeId'),
    join: yesOrNo
      .default(false)
      .describe(
        'this member is added to a cluster that exists, by "varlog member add" or "replace"',
      ),
    leaseReads: yesOrNo
      .default(false)
      .describe(
        'as leader, this member answers linearizable reads alone; a lost leader is replaced later',
      ),
    roles: list
      .default(['metadata', 'storage'])
      .describe('what this process runs: metadata, storage, or both'),
    listen: address.default('127.0.0.1:9092').describe('gRPC address to bind'),
    advertise: address.optional().describe('address that others reach this node at'),
    http: address.optional().describe('address for /livez, /readyz and /metrics'),
    directory: z.string().min(1).default('.varlog').describe('where the data lies'),
    members: members
      .optional()
      .describe(
        'all metadata repository members: 1=host:port,2=host:port,…; some of them for one that joins',
      ),
    replicationFactor: z.coerce
      .number()
      .int()
      .min(1)
      .max(7)
      .default(1)
      .describe('copies of a new log stream'),
    rebalance: yesOrNo
      .default(true)
      .describe(
        'move log streams by itself, so that all storage nodes have about as many, and as many bytes',
      ),
    rebalanceBytes: z.coerce
      .number()
      .int()
      .min(1)
      .max(Number.MAX_SAFE_INTEGER)
      .default(REBALANCE_BYTES)
      .describe('storage nodes whose bytes differ by less are left as they are, in bytes'),
    trashHours: z.coerce
      .number()
      .min(0)
      .default(24)
      .describe('how long replicas that were taken away can be brought back'),
    cacheBytes: bytes
      .default(CACHE_BYTES)
      .describe('memory of a storage node for the newest records of all its replicas, in bytes'),
    pendingBytes: bytes
      .default(PENDING_BYTES)
      .describe(
        'appends that may wait to be ordered on a storage node, in bytes; more are refused',
      ),
    recordBytesMax: z.coerce
      .number()
      .int()
      .min(1)
      .max(LARGEST_RECORD_BYTES)
      .default(RECORD_BYTES_MAX)
      .describe(
        'the largest record that clients may append, in bytes, up to 16 MiB; alike on all storage nodes',
      ),
    tlsCa: file.describe('PEM of the authority to trust; with it, all connections use TLS'),
    tlsCertificate: file.describe('PEM of the certificate of this node, for its advertised host'),
    tlsKey: file.describe('PEM of its private key'),
    tlsMutual: yesOrNo
      .default(true)
      .describe('let in only who shows a certificate of the authority'),
    tokenFile: file.describe(
      'access tokens, one a line: let in only who shows one of them; the first is shown to other nodes',
    ),
    logLevel: z
      .enum(['debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('the least that is logged: debug, info, warn, error or silent'),
  })
  .superRefine((config, context) => {
    const issue = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message });
    const { nodeId, memberId = nodeId, join } = config;
    const ids = config.members?.map((it) => it.id) ?? [memberId];
    if (new Set(ids).size !== ids.length) issue('members', 'names the same id twice');
    if (config.roles.includes('metadata') && !join && !ids.includes(memberId)) {
      const name = memberId === nodeId ? 'nodeId' : 'memberId';
      issue('members', `must name this node (${name} ${memberId}), which has the role metadata`);
    }
    if (join && !ids.some((it) => it !== memberId)) {
      issue('members', 'must name some members of the cluster that this one joins');
    }
    if (!config.roles.includes('metadata') && config.members === undefined) {
      issue('members', 'is needed to find the metadata repository');
    }
    const tls = [config.tlsCa, config.tlsCertificate, config.tlsKey];
    if (tls.some((it) => it !== undefined) && tls.includes(undefined)) {
      issue('tlsCa', 'goes with tlsCertificate and tlsKey; a node with TLS needs all three');
    }
    if (config.advertise === undefined && isWildcard(config.listen)) {
      issue('advertise', `is needed when listen is ${config.listen}: others cannot dial that`);
    }
  });

/** Everything that one process needs to know. Read-only once it was resolved. */
export type NodeConfig = Readonly<z.infer<typeof schema>> & {
  readonly advertise: string;
  readonly memberId: number;
  readonly members: readonly { readonly id: number; readonly address: string }[];
};

const YES_OR_NO: ReadonlySet<string> = new Set([
  'join',
  'rebalance',
  'leaseReads',
  'tlsMutual',
] satisfies (keyof typeof schema.shape)[]);

/** The keys of the configuration, with what they mean: for flags, help and docs. */
export const CONFIG_KEYS: readonly {
  key: string;
  flag: string;
  /** How the flag takes its value, which may be left out where it is yes or no. */
  value: '<value>' | '[value]';
  env: string;
  help: string;
}[] = Object.entries(schema.shape).map(([key, field]) => {
  const kebab = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return {
    key,
    flag: `--${kebab}`,
    value: YES_OR_NO.has(key) ? '[value]' : '<value>',
    env: `VARLOG_${kebab.replaceAll('-', '_').toUpperCase()}`,
    help: `${field.description ?? ''}${defaultOf(field)}`.trim(),
  };
});

function defaultOf(field: z.ZodType): string {
  const value = field instanceof z.ZodDefault ? field.def.defaultValue : undefined;
  return value === undefined || value === false ? '' : ` (default: ${String(value)})`;
}

/**
 * Puts a configuration together: a flag beats the environment, which beats the file, which beats
 * the default. Everything is checked before anything starts; the one error lists all problems, each
 * with its key and where the value came from (`CONFIG_INVALID`).
 */
export function resolveConfig(sources: {
  flags?: Record<string, unknown>;
  env?: Record<string, string | undefined>;
  file?: string;
}): NodeConfig {
  const origins = new Map<string, string>();
  const values: Record<string, unknown> = {};
  const take = (key: string, value: unknown, origin: string): void => {
    if (value === undefined) return;
    values[key] = value;
    origins.set(key, origin);
  };
  const fromFile = sources.file === undefined ? {} : readFile(sources.file);
  for (const [key, value] of Object.entries(fromFile)) take(key, value, `file ${sources.file}`);
  for (const { key, env } of CONFIG_KEYS) take(key, sources.env?.[env], `environment ${env}`);
  for (const { key, flag } of CONFIG_KEYS) take(key, sources.flags?.[key], `flag ${flag}`);

  const parsed = schema.safeParse(values);
  if (!parsed.success) throw invalid(parsed.error, origins, values);
  const config = parsed.data;
  const advertise = config.advertise ?? config.listen;
  const memberId = config.memberId ?? config.nodeId;
  const listed = config.members ?? [];
  const isListed = listed.some((it) => it.id === memberId);
  const own = listed.length === 0 || (config.join && !isListed);
  const members = own ? [...listed, { id: memberId, address: advertise }] : listed;
  return Object.freeze({ ...config, advertise, memberId, members });
}

function readFile(path: string): Record<string, unknown> {
  try {
    const value: unknown = parse(readFileSync(path, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch (cause) {
    throw new VarlogError('CONFIG_INVALID', {
      what: `cannot read the configuration file ${path}`,
      because: reasonOf(cause),
      cause,
    });
  }
  throw new VarlogError('CONFIG_INVALID', {
    what: `the configuration file ${path} is not a mapping of keys to values`,
  });
}

function invalid(
  error: z.ZodError,
  origins: Map<string, string>,
  values: Record<string, unknown>,
): VarlogError {
  const problems = error.issues.map((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return `${issue.keys.join(', ')}: no such key (known: ${Object.keys(schema.shape).join(', ')})`;
    }
    const key = String(issue.path[0] ?? '');
    const origin = origins.get(key);
    const given = origin === undefined ? '' : `, given ${JSON.stringify(values[key])} by ${origin}`;
    return `${issue.path.join('.')}: ${issue.message}${given}`;
  });
  return new VarlogError('CONFIG_INVALID', {
    what: `the configuration is not usable: ${problems.join('; ')}`,
    next: 'see "varlog server --help" for the keys',
    details: { problems },
  });
}
