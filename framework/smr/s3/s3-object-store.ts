import {
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
} from '@aws-sdk/client-s3';
import { checkObjectName, isObjectName } from '../object-names.ts';
import type { ObjectStore } from '../object-store.ts';
import { MultipartUpload } from './multipart-upload.ts';
import { partsOf } from './parts.ts';
import { isAbsent, readError, S3Errors } from './s3-errors.ts';

/** Objects in a folder of a bucket. What is in folders below is not seen. */
export class S3ObjectStore implements ObjectStore {
  private readonly client: S3Client;
  private readonly bucket: string;
  private readonly folder: string;
  private readonly errors: S3Errors;

  /** `folder` is empty or ends in `/`. */
  constructor(client: S3Client, bucket: string, folder: string) {
    this.client = client;
    this.bucket = bucket;
    this.folder = folder;
    this.errors = new S3Errors(bucket);
  }

  async put(name: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const place = this.placeOf(name);
    const what = `object "${name}" was not written`;
    let upload: MultipartUpload | undefined;
    try {
      for await (const { bytes, isLast } of partsOf(chunks)) {
        if (isLast && upload === undefined) {
          const command = new PutObjectCommand({ ...place, Body: bytes });
          await this.errors.ofWrite(what, this.client.send(command));
          return;
        }
        upload ??= await MultipartUpload.begin(this.client, place, this.errors, what);
        await upload.add(bytes);
      }
      await upload?.complete();
    } catch (error) {
      await upload?.abort();
      throw error;
    }
  }

  async get(name: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    const place = this.placeOf(name);
    const what = `object "${name}" cannot be read`;
    try {
      const { Body } = await this.client.send(new GetObjectCommand(place));
      const body = Body as NodeJS.ReadableStream;
      // The connection of one that nobody reads is closed after a while, and nobody is there to be told.
      body.on('error', () => {});
      return this.read(body, what);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw this.errors.of(what, error);
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    const { client, bucket: Bucket, folder } = this;
    const names: string[] = [];
    try {
      const input = { Bucket, Prefix: folder + prefix, Delimiter: '/' };
      for await (const { Contents = [] } of paginateListObjectsV2({ client }, input)) {
        for (const { Key = '' } of Contents) names.push(Key.slice(folder.length));
      }
    } catch (error) {
      throw this.errors.of('the objects cannot be listed', error);
    }
    return names.filter(isObjectName).sort();
  }

  async delete(name: string): Promise<void> {
    const command = new DeleteObjectCommand(this.placeOf(name));
    const deleted = this.client.send(command).catch((error: unknown) => {
      // Amazon's says nothing where there is none; others do.
      if (!isAbsent(error)) throw error;
    });
    await this.errors.ofWrite(`object "${name}" was not deleted`, deleted);
  }

  private placeOf(name: string): { Bucket: string; Key: string } {
    checkObjectName(name);
    return { Bucket: this.bucket, Key: this.folder + name };
  }

  private async *read(body: NodeJS.ReadableStream, what: string): AsyncGenerator<Uint8Array> {
    let length = 0;
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        yield chunk;
        length += chunk.length;
      }
    } catch (error) {
      throw readError(`${what} behind its first ${length} bytes`, error);
    }
  }
}
