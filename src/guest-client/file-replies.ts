/** Decoders of what the file operations answer. Pure. */
import { misbehaved } from "./errors.js";
import type { FieldReader } from "./wire.js";

const types = [
  "unknown",
  "file",
  "directory",
  "symlink",
  "fifo",
  "character-device",
  "block-device",
  "socket",
] as const;
export type FileType = (typeof types)[number];

export interface FileEntry {
  readonly type: FileType;
  /** Of what a symbolic link leads to; absent for a dangling one and for everything else. */
  readonly targetType?: FileType;
  /** Extended ones in the namespace "user."; absent where the guest has not looked. */
  readonly hasAttributes?: boolean;
  /** Permission bits, 07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  /** Stops at 2^53-1, which a sparse file can exceed. */
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  readonly name: string;
  /** Absolute; links in it stay. */
  readonly path: string;
  /** Names from the sandbox's own files; empty if there are none. */
  readonly user: string;
  readonly group: string;
  readonly symlinkTarget?: string;
}

function fileType(index: number): FileType {
  const type = types[index];
  if (type === undefined) throw misbehaved(`unknown file type ${index}`);
  return type;
}

const attributesLookedAt = 1;
const attributesOfUsers = 2;

export function readEntry(reader: FieldReader): FileEntry {
  const type = fileType(reader.u8());
  const targetIndex = reader.u8();
  const attributes = reader.u16();
  const entry = {
    type,
    mode: reader.u32(),
    uid: reader.u32(),
    gid: reader.u32(),
    links: reader.u32(),
    sizeBytes: reader.u64Saturated(),
    mtimeNs: reader.i64(),
    name: reader.str(),
    path: reader.str(),
    user: reader.str(),
    group: reader.str(),
  };
  const symlinkTarget = reader.str();
  return {
    ...entry,
    ...(type === "symlink" ? { symlinkTarget } : {}),
    ...(attributes & attributesLookedAt ? { hasAttributes: (attributes & attributesOfUsers) !== 0 } : {}),
    ...(type === "symlink" && targetIndex !== 0 ? { targetType: fileType(targetIndex) } : {}),
  };
}

/** When a file was changed, to the millisecond. Times that no Date holds become 1970. */
export function modifiedAt(entry: FileEntry): Date {
  const date = new Date(Number(entry.mtimeNs / 1_000_000n));
  return Number.isNaN(date.getTime()) ? new Date(0) : date;
}

export interface ListEnd {
  readonly count: number;
  /** Directories that could not be read. */
  readonly skipped: number;
  /** More entries than were asked for. */
  readonly truncated: boolean;
}

export const readListEnd = (reader: FieldReader): ListEnd => ({
  count: reader.u32(),
  skipped: reader.u32(),
  truncated: reader.u8() === 1,
});

export interface RawReply {
  /** How many bytes follow. */
  readonly bytes: number;
  readonly entry: FileEntry;
}

export const readRawReply = (reader: FieldReader): RawReply => ({
  bytes: reader.u64(),
  entry: readEntry(reader),
});

export interface WriteEnd {
  readonly bytes: number;
  readonly entry: FileEntry;
}

export const readWriteEnd = (reader: FieldReader): WriteEnd => ({
  bytes: reader.u64(),
  entry: readEntry(reader),
});

export interface MadeDirectory {
  /** False if it was there already. */
  readonly created: boolean;
  readonly entry: FileEntry;
}

export const readMadeDirectory = (reader: FieldReader): MadeDirectory => ({
  created: reader.u8() === 1,
  entry: readEntry(reader),
});

/** `overflow`: events were lost, look again. `gone`: the watched path itself went; the last event. */
export type WatchEventKind =
  | "created"
  | "written"
  | "removed"
  | "renamed"
  | "attributes"
  | "overflow"
  | "gone";

export interface WatchEvent {
  readonly kind: WatchEventKind;
  readonly type: "file" | "directory" | "unknown";
  /** Joins a `renamed` with the `created` under the new name; 0 otherwise. */
  readonly cookie: number;
  /** Relative to the watched directory; empty for itself. */
  readonly name: string;
}

const kinds = [
  undefined,
  "created",
  "written",
  "removed",
  "renamed",
  "attributes",
  "overflow",
  "gone",
] as const satisfies readonly (WatchEventKind | undefined)[];

export function readWatchEvent(reader: FieldReader): WatchEvent {
  const kind = kinds[reader.u8()];
  const type = (["unknown", "file", "directory"] as const)[reader.u8()];
  reader.u16();
  const cookie = reader.u32();
  const name = reader.str();
  if (kind === undefined || type === undefined) throw misbehaved("a watch event of an unknown kind");
  return { kind, type, cookie, name };
}
