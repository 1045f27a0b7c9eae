import type { Codec } from '../base/index.ts';
import { GrpcFrameReader } from './grpc-frame-reader.ts';
import { GrpcFrames } from './grpc-frames.ts';

const plain: Codec<Buffer> = { encode: (it) => it, decode: (it) => Buffer.from(it) };
const inPlace: Codec<Buffer> = {
  ...plain,
  inPlace: { size: (it) => it.length, write: (it, target, at) => target.set(it, at) },
};
const message = (text: string): Buffer => Buffer.from(text);

describe.each([
  ['with buffers of their own', plain],
  ['in place', inPlace],
])('messages that are encoded %s', (_, codec) => {
  test('leave one after the other, each with its prefix', () => {
    const frames = new GrpcFrames(codec);
    for (const it of ['one', '', 'three']) frames.add(message(it));
    expect(frames.bytes).toBe(8);
    const joined = frames.take();
    expect([...joined]).toEqual([
      ...[0, 0, 0, 0, 3, ...message('one')],
      ...[0, 0, 0, 0, 0],
      ...[0, 0, 0, 0, 5, ...message('three')],
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
    const sizes = [0, 1, 70_000, 5, 255, 256, 65_536, 0, 300_000, 3];
    const sent = sizes.map((size, i) => Buffer.alloc(size, i));
    const frames = new GrpcFrames(codec);
    const wire: Buffer[] = [];
    for (const it of sent) {
      frames.add(it);
      if (frames.isFull) wire.push(frames.take());
    }
    wire.push(frames.take());
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
