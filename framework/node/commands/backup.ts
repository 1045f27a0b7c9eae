import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { VarlogError } from '../../base/index.ts';
import { type ExportProgress, resumableExport } from '../../log/index.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';
import { showBytes } from './quantity.ts';

/** `export` and `import`: a topic as a file, and a topic made of it. */
export function addBackupCommands(program: Command, cli: Cli): void {
  program
    .command('export')
    .description(
      'write the records of a topic to a file; the same command goes on with an interrupted one',
    )
    .argument('<topic>', 'topic id, or varlog://host:port,host:port/topic', topicArgument)
    .argument('<file>', 'must not exist; until it is whole, it is called <file>.part')
    .option('--to <glsn>', 'the last record; the tail if left out', atLeast(0))
    .action((argument: TopicArgument, path: string, { to }: { to?: number }) =>
      cli.withTopic(argument, async (topic, output) => {
        await refuseExisting(path);
        const part = `${path}.part`;
        const signal = cli.interrupted();
        const { file, resume } = await openPart(part);
        let bytes = resume?.bytes ?? 0;
        try {
          if (resume !== undefined) output.note(`going on after record ${resume.last}`);
          const made = topic.export({
            signal,
            ...(to !== undefined && { to }),
            ...(resume !== undefined && { resume }),
          });
          for await (const chunk of made) {
            await writeAll(file, chunk, bytes);
            bytes += chunk.length;
          }
          await file.sync();
          await rename(part, path);
          await syncFolder(dirname(path));
          const { first, last, records, hash } = made.summary;
          output.result(
            { topic: topic.id, first, last, records, bytes, hash, file: path },
            `exported ${records} records, ${first} to ${last}, ${showBytes(bytes)}, sum ${hash}`,
          );
        } finally {
          await file.close();
        }
      }),
    );

  program
    .command('import')
    .description('make a new topic of an exported one, with the same records at the same positions')
    .argument('<file>', 'what "varlog export" wrote')
    .action((path: string) =>
      cli.withClient(async (varlog, output) => {
        const signal = cli.interrupted();
        await refuseMissing(path);
        const source = () => createReadStream(path, { highWaterMark: 256 * 1024 });
        const made = await varlog.importTopic(source, { signal });
        const { topic, first, last, records, shift, hash, identity } = made;
        output.result(
          {
            id: topic.id,
            first: first - shift,
            last: last - shift,
            records,
            shift,
            hash,
            identity,
          },
          [
            `made topic ${topic.id} with ${records} records of ${identity}, sum ${hash}`,
            shift === 0
              ? `records ${first} to ${last} have the positions that they had`
              : `records ${first} to ${last} are ${first - shift} to ${last - shift} now: take ${shift} from each position`,
          ].join('\n'),
        );
      }),
    );
}

async function refuseExisting(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  throw new VarlogError('ALREADY_EXISTS', {
    what: `there is something at ${path}`,
    next: 'remove it, or export to another file',
  });
}

async function refuseMissing(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() === true) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `there is no file at ${path}`,
    next: 'name one that "varlog export" wrote',
  });
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const rest = bytes.length - done;
    done += (await file.write(bytes, done, rest, position + done)).bytesWritten;
  }
}

/** An interrupted export is gone on with, after its last whole batch. */
async function openPart(path: string): Promise<{ file: FileHandle; resume?: ExportProgress }> {
  const isThere = (await stat(path).catch(() => undefined)) !== undefined;
  const found = isThere ? await resumableExport(createReadStream(path)) : undefined;
  // One that is whole and has not got its name yet may not go up to where this one is to.
  const resume = found === 'whole' ? undefined : found;
  const file = await open(path, resume === undefined ? 'w' : 'r+');
  await file.truncate(resume?.bytes ?? 0);
  return resume === undefined ? { file } : { file, resume };
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
