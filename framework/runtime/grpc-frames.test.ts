import { GrpcFrames, takesFrames } from './grpc-frames.ts';

const message = (text: string): Buffer => Buffer.from(text);

test('messages leave one after the other, each with its prefix', () => {
  const frames = new GrpcFrames();
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

test('they are full at 64 KiB', () => {
  const frames = new GrpcFrames();
  frames.add(Buffer.alloc(32 * 1024));
  expect(frames.isFull).toBe(false);
  frames.add(Buffer.alloc(32 * 1024));
  expect(frames.isFull).toBe(true);
});

test('a call of which nothing is known takes messages', () => {
  expect(takesFrames({ call: {} } as never)).toBe(false);
});
