/** Files in the words of E2B's clients. */
import { posix } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type EntryInfoSchema, FileType } from "../gen/e2b/filesystem_pb.js";
import { isDomainError } from "../lib/errors.js";
import { mapLimited } from "../lib/limit.js";
import type { FileInfo, FileRef } from "../node/files.js";
import type { EnvdNode } from "./deps.js";

export type Entry = MessageInitShape<typeof EntryInfoSchema>;

/** Attributes that clients attach to files: extended attributes of these names. */
export const metadataPrefix = "user.e2b.";

/** Links that are followed for one entry, as the kernel does. */
const linksMax = 40;
/** Entries of one list that are looked at closer at the same time: each takes a helper of the guest's 16. */
const lookingMax = 6;

/** `file` as it is itself, not what it leads to. */
export async function entryOf(
  node: EnvdNode,
  ref: FileRef,
  file: FileInfo,
  signal: AbortSignal,
): Promise<Entry> {
  const at = { ...ref, path: file.path };
  switch (file.type) {
    case "regular":
      if (file.hasAttributes === false) return { ...plainEntry(file), metadata: {} };
      return { ...plainEntry(file), metadata: await node.files.attributes(at, metadataPrefix, signal) };
    case "symlink":
      return linkEntry(node, at, file, signal);
    default:
      return plainEntry(file);
  }
}

/** Those that go while they are looked at are left out. */
export async function entriesOf(
  node: EnvdNode,
  ref: FileRef,
  files: readonly FileInfo[],
  signal: AbortSignal,
): Promise<Entry[]> {
  const look = (file: FileInfo, _index: number, linked: AbortSignal) =>
    entryOf(node, ref, file, linked).catch(unlessGone);
  const entries = await mapLimited(files, lookingMax, look, signal);
  return entries.filter((entry) => entry !== undefined);
}

function unlessGone(thrown: unknown): undefined {
  if (!isDomainError(thrown, "not_found")) throw thrown;
}

const types = {
  regular: FileType.FILE,
  directory: FileType.DIRECTORY,
  symlink: FileType.SYMLINK,
  other: FileType.UNSPECIFIED,
} as const satisfies Record<FileInfo["type"], FileType>;

function plainEntry(file: FileInfo): Entry {
  return {
    name: file.name,
    type: types[file.type],
    path: file.path,
    size: BigInt(file.sizeBytes),
    mode: file.mode & 0o777,
    permissions: permissionsOf(file),
    owner: file.owner || String(file.uid),
    group: file.group || String(file.gid),
    modifiedTime: timestampFromDate(file.modifiedAt),
  };
}

async function linkEntry(node: EnvdNode, ref: FileRef, file: FileInfo, signal: AbortSignal): Promise<Entry> {
  const target =
    file.targetType === undefined ? undefined : await node.files.stat(ref, { follow: true }, signal);
  return {
    ...plainEntry(file),
    type: target === undefined ? FileType.UNSPECIFIED : types[target.type],
    mode: (target ?? file).mode & 0o777,
    symlinkTarget: await endOfLinks(node, ref, file, signal),
  };
}

/** The last link's target, absolute; a link on the way to it stays in it. */
async function endOfLinks(
  node: EnvdNode,
  ref: FileRef,
  file: FileInfo,
  signal: AbortSignal,
): Promise<string> {
  let at = file;
  for (let links = 0; ; links++) {
    const path = posix.resolve(posix.dirname(at.path), at.symlinkTarget ?? "");
    if (links === linksMax || file.targetType === undefined) return path;
    at = await node.files.stat({ ...ref, path }, { follow: false }, signal);
    if (at.type !== "symlink") return path;
  }
}

const letters = { regular: "", directory: "d", symlink: "L", other: "" } as const;
const setuid = 0o4000;
const setgid = 0o2000;
const sticky = 0o1000;

/** As Go's io/fs.FileMode writes it, which is not as ls does. */
export function permissionsOf({ type, mode }: Pick<FileInfo, "type" | "mode">): string {
  const special = [
    letters[type],
    mode & setuid ? "u" : "",
    mode & setgid ? "g" : "",
    mode & sticky ? "t" : "",
  ].join("");
  const bits = [..."rwxrwxrwx"].map((letter, index) => (mode & (1 << (8 - index)) ? letter : "-")).join("");
  return `${special || "-"}${bits}`;
}
