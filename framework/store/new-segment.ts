import { type Disk, VarlogError } from '../base/index.ts';
import { writeNew } from './atomic-file.ts';
import { Segment, segmentName } from './segment.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, SEGMENT_VERSION } from './segment-header.ts';

/** Where the files of a log are, and how they are kept. */
export interface LogPlace {
  readonly disk: Disk;
  readonly directory: string;
  readonly label: string;
  readonly segmentBytes: number;
  /** What to do where it is damaged, for people. */
  readonly remedy: string;
  /** Whether the last segment stays open between uses. */
  readonly staysOpen: boolean;
}

/** Where the next frame goes: after `end`, at `offset` of the last segment. */
export interface WritePosition {
  readonly end: number;
  readonly offset: number;
  /** The checksum of the last frame in the segment, its tag when it has none. */
  readonly checksum: number;
  /** The size of the file: zeros lie from `offset` to here. */
  readonly size: number;
}

/** Makes an empty segment; its name and content are durable when this resolves. */
export async function createSegment(
  place: LogPlace,
  generation: number,
  first: number,
  previousFirst: number,
): Promise<Segment> {
  const { disk, directory, label } = place;
  const path = `${directory}/${segmentName(generation, first)}`;
  const header = { label, generation, first, previousFirst };
  const { bytes, tag } = encodeSegmentHeader(header);
  // Under its own name a segment is never seen half made: its header is what recovery relies on.
  await writeNew(disk, `${path}.new`, [bytes]);
  await disk.rename(`${path}.new`, path);
  await syncNames(place);
  return new Segment(disk, path, { ...header, version: SEGMENT_VERSION, tag });
}

/** Makes the names in the folder of a log durable. */
export function syncNames({ disk, directory }: LogPlace): Promise<void> {
  return surely(() => disk.syncDirectory(directory));
}

/** What a sync did not make durable is in doubt, whatever the reason was. */
export async function surely(sync: () => Promise<void>): Promise<void> {
  try {
    await sync();
  } catch (error) {
    if (!VarlogError.is(error, 'DISK_FULL')) throw error;
    throw new VarlogError('DISK_FAILED', {
      what: error.message,
      details: error.details,
      cause: error,
    });
  }
}

/** Where the first frame of a new segment goes. */
export function emptySegment(segment: Segment, end: number): WritePosition {
  const offset = SEGMENT_HEADER_BYTES;
  return { end, offset, checksum: segment.tag, size: offset };
}
