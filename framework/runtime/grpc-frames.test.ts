import { GrpcFrames } from './grpc-frames.ts';

const add = (frames: GrpcFrames, ...parts: Uint8Array[]): void => {
  frames.add(parts, Buffer.concat(parts).length);
};

test('messages leave one after the other, each with its prefix', () => {
  const frames = new GrpcFrames();
  add(frames, Buffer.from('on'), Buffer.from('e'));
  add(frames);
  add(frames, Buffer.from('three'));
  expect(frames.bytes).toBe(8);
  const pieces = frames.take();
  expect(pieces).toHaveLength(1);
  expect([...pieces[0]!]).toEqual([
    ...[0, 0, 0, 0, 3, ...Buffer.from('one')],
    ...[0, 0, 0, 0, 0],
    ...[0, 0, 0, 0, 5, ...Buffer.from('three')],
  ]);
  expect([frames.isEmpty, frames.bytes]).toEqual([true, 0]);
});

test('large pieces are not copied', () => {
  const large = new Uint8Array(100_000).fill(7);
  const frames = new GrpcFrames();
  add(frames, Buffer.from('a'), large, Buffer.from('b'));
  add(frames, large);
  const pieces = frames.take();
  expect(pieces.map((it) => it === large)).toEqual([false, true, false, true]);
  const first = [0, 0, 1, 0x86, 0xa2, 97];
  const second = [98, 0, 0, 1, 0x86, 0xa0];
  expect([[...pieces[0]!], [...pieces[2]!]]).toEqual([first, second]);
});

test('they are full at 64 KiB', () => {
  const frames = new GrpcFrames();
  add(frames, Buffer.alloc(32 * 1024));
  expect(frames.isFull).toBe(false);
  add(frames, Buffer.alloc(32 * 1024));
  expect(frames.isFull).toBe(true);
});
