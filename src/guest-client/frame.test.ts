import { describe, expect, it } from "vitest";
import { createFrameParser, encodeFrame, guestFrame, hostFrame, payloadBytesMax } from "./frame.js";

function frame(type: number, payload: Uint8Array, flags = 0, reserved = 0): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(payload.length, 0);
  header.writeUInt8(type, 4);
  header.writeUInt8(flags, 5);
  header.writeUInt16LE(reserved, 6);
  return Buffer.concat([header, payload]);
}

function parseAll(chunks: readonly Uint8Array[]) {
  const parser = createFrameParser();
  const frames = [];
  for (const chunk of chunks) {
    parser.push(chunk);
    for (let next = parser.next(); next !== undefined; next = parser.next()) frames.push(next);
  }
  return { frames, left: parser.bufferedBytes() };
}

const stream = Buffer.concat([
  frame(guestFrame.ok, Buffer.from("hello")),
  frame(guestFrame.output, Buffer.alloc(0)),
  frame(guestFrame.end, Buffer.from([1, 2, 3])),
]);
const expected = [
  { type: guestFrame.ok, payload: Buffer.from("hello") },
  { type: guestFrame.output, payload: Buffer.alloc(0) },
  { type: guestFrame.end, payload: Buffer.from([1, 2, 3]) },
];

describe("frame parser", () => {
  it("parses frames split at every byte", () => {
    for (let at = 0; at <= stream.length; at++) {
      expect(parseAll([stream.subarray(0, at), stream.subarray(at)])).toEqual({ frames: expected, left: 0 });
    }
    expect(parseAll([...stream].map((byte) => Uint8Array.of(byte)))).toEqual({ frames: expected, left: 0 });
  });

  it("takes a frame of the largest size and keeps the start of the next", () => {
    const big = frame(guestFrame.data, Buffer.alloc(payloadBytesMax, 7));
    const { frames, left } = parseAll([Buffer.concat([big, big.subarray(0, 100)])]);
    expect(frames).toHaveLength(1);
    expect(frames[0]?.payload.equals(Buffer.alloc(payloadBytesMax, 7))).toBe(true);
    expect(left).toBe(100);
  });

  it.each([
    ["a length of 2^32-1", Buffer.from([0xff, 0xff, 0xff, 0xff, 0x81, 0, 0, 0]), /4294967295/],
    ["a length of one too many", Buffer.from([1, 0, 1, 0, 0x81, 0, 0, 0]), /65537/],
    ["an unknown type", frame(0x01, Buffer.alloc(0)), /0x1/],
    ["flags", frame(guestFrame.ok, Buffer.alloc(0), 1), /flags/],
    ["reserved bytes", frame(guestFrame.ok, Buffer.alloc(0), 0, 9), /flags/],
  ])("refuses %s from the header alone", (_name, bytes, message) => {
    const parser = createFrameParser();
    parser.push(bytes.subarray(0, 8));
    expect(() => parser.next()).toThrow(message);
  });

  it("gives the bytes after the last frame away", () => {
    const parser = createFrameParser();
    parser.push(Buffer.concat([frame(guestFrame.ok, Buffer.alloc(0)), Buffer.from("raw bytes")]));
    expect(parser.next()?.type).toBe(guestFrame.ok);
    expect(parser.takeRest().toString()).toBe("raw bytes");
    expect(parser.bufferedBytes()).toBe(0);
  });

  it("does not let a later push change an earlier payload", () => {
    const parser = createFrameParser();
    parser.push(frame(guestFrame.ok, Buffer.from("first")));
    const first = parser.next();
    parser.push(frame(guestFrame.ok, Buffer.from("other")));
    parser.next();
    expect(first?.payload.toString()).toBe("first");
  });
});

it("encodes length, type and zeros before the payload", () => {
  expect([...encodeFrame(hostFrame.stdin, Buffer.from("ab"))]).toEqual([2, 0, 0, 0, 2, 0, 0, 0, 97, 98]);
  expect([...encodeFrame(hostFrame.stdinEof)]).toEqual([0, 0, 0, 0, 3, 0, 0, 0]);
});
