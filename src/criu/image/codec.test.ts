import { describe, expect, it } from "vitest";
import { onlyMessage, readImage, writeImage } from "./codec.js";

const name = "mm-1.img";
const messages = [Buffer.from("first"), Buffer.alloc(0), Buffer.from("third")];
const image = writeImage("mm", messages);

function changed(at: number, value: number): Buffer {
  const copy = Buffer.from(image);
  copy[at] = value;
  return copy;
}

describe("an image", () => {
  it("is CRIU's magic numbers and messages with their lengths", () => {
    expect(image.subarray(0, 17).toString("hex")).toBe("1943565420284957" + "050000006669727374");
    expect(readImage(image, "mm", name)).toEqual(messages);
    expect(readImage(writeImage("seccomp", []), "seccomp", name)).toEqual([]);
  });

  it.each([
    ["nothing in it", Buffer.alloc(0)],
    ["another common magic", changed(0, 0)],
    ["the magic of another kind", changed(4, 0)],
    ["a length that is too long", changed(11, 0x7f)],
    ["half a length at its end", Buffer.concat([image, Buffer.alloc(3)])],
    ["its end missing", image.subarray(0, image.length - 1)],
  ])("is refused with %s", (_what, bytes) => {
    expect(() => readImage(bytes, "mm", name)).toThrow(
      expect.objectContaining({ code: "failed_precondition" }),
    );
  });

  it("that has one message is refused with more, or none", () => {
    expect(onlyMessage([Buffer.from("a")], name).toString()).toBe("a");
    expect(() => onlyMessage([], name)).toThrow(/0 messages/);
    expect(() => onlyMessage(messages, name)).toThrow(/3 messages/);
  });
});
