/**
 * The frame of CRIU's images: two magic numbers, then each message with its length in front (criu/include/magic.h,
 * criu/protobuf.c). What is read and written unchanged is the same, byte for byte. Pure.
 */
import { damaged } from "../damaged.js";

const commonMagic = 0x54564319;

/** The kinds of image that are changed here. */
export const magics = {
  core: 0x55053847,
  fdinfo: 0x56213732,
  files: 0x56303138,
  mm: 0x57492820,
  mounts: 0x55563928,
  pagemap: 0x56084025,
  pstree: 0x50273030,
  seccomp: 0x64413049,
  terminals: 0x59453036,
} as const;

export type ImageKind = keyof typeof magics;

/** These images are read whole. 64 GiB of memory of which every other page is there are 200 MiB of page map. */
export const imageBytesMax = 256 * 1024 * 1024;

const headBytes = 8;
const lengthBytes = 4;

/** The messages of an image. They share its memory. */
export function readImage(bytes: Buffer, kind: ImageKind, name: string): Buffer[] {
  if (bytes.length < headBytes || bytes.length > imageBytesMax)
    throw damaged(name, `it has ${bytes.length} bytes`);
  [commonMagic, magics[kind]].forEach((magic, index) => {
    const found = bytes.readUInt32LE(4 * index);
    if (found !== magic) throw damaged(name, `it begins with 0x${found.toString(16)}`);
  });
  const messages: Buffer[] = [];
  for (let at = headBytes; at < bytes.length; ) {
    if (bytes.length - at < lengthBytes) throw damaged(name, "it ends in the middle of a length");
    const length = bytes.readUInt32LE(at);
    const start = at + lengthBytes;
    if (length > bytes.length - start)
      throw damaged(name, `${length - (bytes.length - start)} bytes are missing`);
    at = start + length;
    messages.push(bytes.subarray(start, at));
  }
  return messages;
}

export function writeImage(kind: ImageKind, messages: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32LE(commonMagic, 0);
  head.writeUInt32LE(magics[kind], 4);
  const parts: Uint8Array[] = [head];
  for (const message of messages) {
    const length = Buffer.alloc(lengthBytes);
    length.writeUInt32LE(message.length, 0);
    parts.push(length, message);
  }
  return Buffer.concat(parts);
}

/** The message of an image that has exactly one. */
export function onlyMessage(messages: readonly Buffer[], name: string): Buffer {
  const [message, ...others] = messages;
  if (message === undefined || others.length > 0) throw damaged(name, `it has ${messages.length} messages`);
  return message;
}
