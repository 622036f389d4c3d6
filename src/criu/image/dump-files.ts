/**
 * The files of a dump's directory, most of them of a few hundred bytes that CRIU has just written: asking a thread for
 * each step of reading one takes longer than the reading.
 */
import { chmodSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { damaged } from "../damaged.js";
import { type ImageKind, imageBytesMax, readImage, writeImage } from "./codec.js";

/** Numbers N of the files `<prefix>-N.img`, in order. */
export function numbersOf(dir: string, prefix: string): number[] {
  const pattern = new RegExp(`^${prefix}-([0-9]{1,10})\\.img$`);
  const numbers = readdirSync(dir).flatMap((name) => {
    const number = pattern.exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
  return numbers.sort((a, b) => a - b);
}

const smallBytes = 128 * 1024;

/** A whole image; undefined if there is none of this name. */
export async function readDumpFile(dir: string, name: string): Promise<Buffer | undefined> {
  const path = join(dir, name);
  try {
    const { size } = statSync(path);
    if (size > imageBytesMax) throw damaged(name, `it has ${size} bytes`);
    return size > smallBytes ? await readFile(path) : readFileSync(path);
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return undefined;
    throw thrown;
  }
}

export async function requireDumpFile(dir: string, name: string): Promise<Buffer> {
  const bytes = await readDumpFile(dir, name);
  if (bytes === undefined) throw damaged(name, "it is missing");
  return bytes;
}

export async function readMessages(dir: string, name: string, kind: ImageKind): Promise<Buffer[]> {
  return readImage(await requireDumpFile(dir, name), kind, name);
}

export function replaceMessages(
  dir: string,
  name: string,
  kind: ImageKind,
  messages: readonly Uint8Array[],
): void {
  replaceDumpFile(dir, name, writeImage(kind, messages));
}

/**
 * As CRIU makes its images: it opens them again as root of the sandbox's user namespace, who is nobody here. The
 * directory above lets nobody else in.
 */
export const imageMode = 0o644;

/** Readers see the old content or the new. What makes a dump durable syncs all of it in the end, so this does not. */
export function replaceDumpFile(dir: string, name: string, bytes: Uint8Array): void {
  const temporary = join(dir, `${name}.tmp`);
  writeFileSync(temporary, bytes);
  chmodSync(temporary, imageMode);
  renameSync(temporary, join(dir, name));
}
