import { type Codec, MESSAGE_BYTES_MAX } from '../base/index.ts';
import { GrpcFrameReader } from './grpc-frame-reader.ts';
import { GrpcFrames } from './grpc-frames.ts';

const plain: Codec<Buffer> = { encode: (it) => it, decode: (it) => Buffer.from(it) };
const inPlace: Codec<Buffer> = {
  ...plain,
  inPlace: { size: (it) => it.length, write: (it, target, at) => target.set(it, at) },
};
const inParts: Codec<Buffer> = {
  ...plain,
  encodeParts: (it) => [it.subarray(0, 3), it.subarray(3, it.length - 1), it.subarray(-1)],
};
const message = (text: string): Buffer => Buffer.from(text);

describe.each([
  ['with buffers of their own', plain],
  ['in place', inPlace],
  ['in parts', inParts],
])('messages that are encoded %s', (_, codec) => {
  test('leave one after the other, each with its prefix', () => {
    const frames = new GrpcFrames(codec);
    for (const it of ['first', 'last']) frames.add(message(it));
    expect(frames.bytes).toBe(9);
    const pieces = frames.take();
    expect(pieces).toHaveLength(1);
    expect([...pieces[0]!]).toEqual([
      ...[0, 0, 0, 0, 5, ...message('first')],
      ...[0, 0, 0, 0, 4, ...message('last')],
    ]);
    expect([frames.isEmpty, frames.bytes]).toEqual([true, 0]);
  });

  test('are full at 64 KiB', () => {
    const frames = new GrpcFrames(codec);
    frames.add(Buffer.alloc(32 * 1024));
    expect(frames.isFull).toBe(false);
    frames.add(Buffer.alloc(32 * 1024));
    expect(frames.isFull).toBe(true);
  });

  test('come out as they went in, of whatever size, and however the bytes are cut', () => {
    const sizes = [4, 5, 70_000, 5, 255, 256, 65_536, 16_384, 300_000, 6];
    const sent = sizes.map((size, i) => Buffer.alloc(size, i));
    const frames = new GrpcFrames(codec);
    const wire: Uint8Array[] = [];
    for (const it of sent) {
      frames.add(it);
      if (frames.isFull) wire.push(...frames.take());
    }
    wire.push(...frames.take());
    const bytes = Buffer.concat(wire);
    for (const piece of [1, 4, 5, 6, 1_000, 65_537, bytes.length]) {
      const reader = new GrpcFrameReader(300_000);
      const found: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += piece) {
        found.push(...reader.push(bytes.subarray(at, at + piece)));
      }
      expect(found.map((it) => it.length)).toEqual(sizes);
      expect(Buffer.concat(found).equals(Buffer.concat(sent))).toBe(true);
    }
  });
});

test.each([
  ['with buffers of their own', plain],
  ['in place', inPlace],
])('an empty message that is encoded %s is a prefix', (_, codec) => {
  const frames = new GrpcFrames(codec);
  frames.add(message(''));
  expect(frames.isEmpty).toBe(false);
  expect(frames.take()).toEqual([Buffer.from([0, 0, 0, 0, 0])]);
});

test('large parts are not copied', () => {
  const frames = new GrpcFrames(inParts);
  const large = Buffer.alloc(100_004, 7);
  frames.add(large);
  frames.add(large);
  const pieces = frames.take();
  const isOwn = pieces.map((it) => it.buffer === large.buffer);
  expect(isOwn).toEqual([false, true, false, true, false]);
  expect(frames.isEmpty).toBe(true);
});

test('a message that no peer would take is refused, and nothing is left of it', () => {
  const huge = inPlace.inPlace!;
  const frames = new GrpcFrames({
    ...inPlace,
    inPlace: { ...huge, size: () => MESSAGE_BYTES_MAX + 1 },
  });
  expect(() => frames.add(message('x'))).toThrow(/RESOURCE_EXHAUSTED/);
  expect([frames.isEmpty, frames.bytes, frames.take()]).toEqual([true, 0, []]);
});

test('a message that is too large or compressed is refused by its prefix', () => {
  const prefix = (flag: number, length: number): Buffer => {
    const bytes = Buffer.alloc(5);
    bytes[0] = flag;
    bytes.writeUInt32BE(length, 1);
    return bytes;
  };
  const push = (bytes: Buffer) => () => new GrpcFrameReader(100).push(bytes);
  expect(push(prefix(0, 100))()).toEqual([]);
  expect(push(prefix(0, 101))).toThrow(/RESOURCE_EXHAUSTED.*101 vs 100/);
  expect(push(prefix(1, 3))).toThrow(/UNIMPLEMENTED/);
});
