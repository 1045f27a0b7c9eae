import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { VarlogError } from '../../base/index.ts';
import type { S3Errors } from './s3-errors.ts';

/** Of one object, as all stores have it. */
const PARTS_MAX = 10_000;

/** An object that comes in parts, and is there when it is completed. */
export class MultipartUpload {
  private readonly client: S3Client;
  private readonly place: { Bucket: string; Key: string; UploadId: string | undefined };
  private readonly errors: S3Errors;
  private readonly what: string;
  private readonly parts: CompletedPart[] = [];

  private constructor(
    client: S3Client,
    place: MultipartUpload['place'],
    errors: S3Errors,
    what: string,
  ) {
    this.client = client;
    this.place = place;
    this.errors = errors;
    this.what = what;
  }

  /** `what` says in an error what failed. */
  static async begin(
    client: S3Client,
    place: { Bucket: string; Key: string },
    errors: S3Errors,
    what: string,
  ): Promise<MultipartUpload> {
    // The parts get the checksum that the client gives them, and the store wants to know beforehand which one that is.
    const isSummed = (await client.config.requestChecksumCalculation()) === 'WHEN_SUPPORTED';
    const sum = isSummed ? { ChecksumAlgorithm: 'CRC32' as const } : {};
    const begun = client.send(new CreateMultipartUploadCommand({ ...place, ...sum }));
    const { UploadId } = await errors.ofPart(what, begun);
    return new MultipartUpload(client, { ...place, UploadId }, errors, what);
  }

  /** The bytes are free again when this resolves. */
  async add(bytes: Uint8Array): Promise<void> {
    const PartNumber = this.parts.length + 1;
    if (PartNumber > PARTS_MAX) {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: this.what,
        because: `it has more than ${PARTS_MAX} parts of ${bytes.length} bytes, which no store takes`,
        next: 'keep a state of this size in shards, or in a folder',
        outcome: 'notAppended',
      });
    }
    const command = new UploadPartCommand({ ...this.place, PartNumber, Body: bytes });
    const sent = this.client.send(command);
    const { ETag, ChecksumCRC32 } = await this.errors.ofPart(this.what, sent);
    this.parts.push({ PartNumber, ETag, ChecksumCRC32 });
  }

  async complete(): Promise<void> {
    const { place, parts: Parts } = this;
    const command = new CompleteMultipartUploadCommand({ ...place, MultipartUpload: { Parts } });
    await this.errors.ofWrite(this.what, this.client.send(command));
  }

  /** Never rejects: why it is given up is to be told. What is left then, the store's own rules remove. */
  async abort(): Promise<void> {
    await this.client.send(new AbortMultipartUploadCommand(this.place)).catch(() => {});
  }
}
