/**
 * Objects in a bucket of Amazon S3, or of any store that speaks its protocol, such as Ceph, MinIO or R2: for snapshots that
 * all replicas share. Needs `@aws-sdk/client-s3`.
 *
 * ```ts
 * import { sharedSnapshots } from 'varlog/smr';
 * import { s3Objects } from 'varlog/smr/s3';
 *
 * const objects = s3Objects({ bucket: 'snapshots', region: 'eu-central-1' });
 * const snapshots = sharedSnapshots(objects, 'counter');
 * ```
 */
import { S3Client } from '@aws-sdk/client-s3';
import { checkNames, type OptionNames, shown, VarlogError } from '../../base/index.ts';
import type { ObjectStore } from '../object-store.ts';
import { S3ObjectStore } from './s3-object-store.ts';

/** How long a new connection may take, and how long nothing may come or go on one before a request counts as failed. */
const CONNECT_MS = 5_000;
const IDLE_MS = 60_000;

/** Which bucket, and how to get there. */
export interface S3ObjectsOptions {
  /** The name of a bucket that is there already. */
  readonly bucket: string;
  /** A folder in the bucket, such as `varlog/counter`: objects elsewhere are not seen. Default: the whole bucket. */
  readonly prefix?: string;
  /** Where the store is, as a URL: `http://10.0.0.5:9000`. Default: Amazon S3. */
  readonly endpoint?: string;
  /** Default: `us-east-1` where there is an `endpoint`, otherwise what the settings of AWS say, such as `AWS_REGION`. */
  readonly region?: string;
  /** Default: what the settings of AWS say: `AWS_ACCESS_KEY_ID`, a profile, the role of the machine. */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** A client of your own, in place of `endpoint`, `region` and `credentials`. Its timeouts and retries are yours. */
  readonly client?: S3Client;
}

const NAMES: OptionNames<S3ObjectsOptions> = {
  bucket: true,
  prefix: true,
  endpoint: true,
  region: true,
  credentials: true,
  client: true,
};

/**
 * Objects in a bucket. One of up to 8 MiB goes there in one request, a larger one in parts of 8 MiB, of which one is in
 * memory, up to 78 GiB. Throws `INVALID_ARGUMENT` for options that make no sense; nothing is asked of the store yet.
 *
 * Its promises reject with `NOT_FOUND` where there is no such bucket, `UNAUTHENTICATED` where the store refuses the
 * credentials or what they may do, `FAILED_PRECONDITION` where the clocks differ too much, `CONFIG_INVALID`,
 * `UNREACHABLE`, `UNAVAILABLE`, `TIMEOUT`, and `UNIMPLEMENTED` where it lists a part only. The `outcome` of a `put` or
 * `delete` that failed is `unknown` where it may have taken effect, or still may, and `notAppended` where it never will.
 */
export function s3Objects(options: S3ObjectsOptions): ObjectStore {
  checkNames(options, NAMES, 's3Objects');
  const { bucket, prefix = '', endpoint, region, credentials, client } = options;
  if (typeof bucket !== 'string' || bucket === '') {
    throw refused(`bucket is ${shown(bucket)}`, 'give the name of a bucket');
  }
  if (typeof prefix !== 'string' || !/^([\w.=-]+\/)*[\w.=-]*$/.test(prefix)) {
    throw refused(
      `prefix is ${shown(prefix)}`,
      'give folders of letters, digits, "-", "_", "." and "=", with "/" between them and none before them',
    );
  }
  if (endpoint !== undefined && !isHttpUrl(endpoint)) {
    throw refused(`endpoint is ${shown(endpoint)}`, 'give a URL, such as http://10.0.0.5:9000');
  }
  if (region === '') {
    throw refused(`region is ${shown(region)}`, 'give the name of one, or leave it out');
  }
  if (credentials !== undefined && !(credentials.accessKeyId && credentials.secretAccessKey)) {
    throw refused(
      `credentials is ${shown(credentials)} without an accessKeyId or a secretAccessKey`,
      'give both, or leave credentials out',
    );
  }
  for (const name of ['endpoint', 'region', 'credentials'] as const) {
    if (client === undefined || options[name] === undefined) continue;
    throw refused(`there is a client, and ${name} beside it`, `give ${name} to the client`);
  }
  const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  return new S3ObjectStore(client ?? connect(options), bucket, folder);
}

function connect({ endpoint, region, credentials }: S3ObjectsOptions): S3Client {
  return new S3Client({
    // Few stores but Amazon's have a host name for each bucket.
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true, region: 'us-east-1' }),
    ...(region !== undefined && { region }),
    ...(credentials !== undefined && { credentials }),
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: IDLE_MS },
  });
}

/** A host and a port alone are a URL too, of which the host is the protocol. */
function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

function refused(what: string, next: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, next });
}
