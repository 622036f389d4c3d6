/** Encoders of the file operations' requests (docs/guest-protocol.md, "Files"). Pure. */
import { begin, finishRequest, flagsOf } from "./requests.js";
import type { FieldWriter } from "./wire.js";

const operation = {
  stat: 32,
  listDir: 33,
  read: 34,
  write: 35,
  mkdir: 36,
  rename: 37,
  remove: 38,
  chmod: 39,
  chown: 40,
  symlink: 41,
  readlink: 42,
  xattrGet: 43,
  xattrSet: 44,
  xattrList: 45,
  xattrRemove: 46,
  watch: 47,
  readRaw: 48,
} as const;

/** A path as a user of the sandbox sees it; a relative one starts at the user's home. */
export interface FilePath {
  readonly path: string;
  /** `name`, `uid`, `name:group` or `uid:gid`; default: uid 0. */
  readonly user?: string;
}

export interface ByteRange {
  /** Default 0. */
  readonly offset?: number;
  /** Default: to the end. */
  readonly length?: number;
}

export interface WriteOptions {
  /** What to do when the file is not there, or is. Default `replace`. */
  readonly existing?: "replace" | "append" | "refuse" | "update";
  /** Creates a missing file; default true. Always so for `refuse` and with `atomic`. */
  readonly create?: boolean;
  /** Shows the new content only when all of it has arrived; with `replace` or `refuse` only. */
  readonly atomic?: boolean;
  readonly parents?: boolean;
  /** Waits until the data is on disk. */
  readonly sync?: boolean;
  /** Permission bits of a new file, less the umask 022; default 0666. */
  readonly mode?: number;
  /** Where to start, with `update`. */
  readonly offset?: number;
}

function at(code: number, file: FilePath): FieldWriter {
  return begin(code)
    .str(file.user ?? "")
    .str(file.path);
}

const noFollow = (follow: boolean | undefined): number => (follow === false ? 1 : 0);
const toTheEnd = 2n ** 64n - 1n;

export const statRequest = (file: FilePath, follow: boolean): Buffer =>
  at(operation.stat, file).u32(noFollow(follow)).finish();

export const listDirRequest = (file: FilePath, depth: number, entriesMax: number): Buffer =>
  at(operation.listDir, file).u32(depth).u32(entriesMax).finish();

export const readRequest = (
  how: "read" | "readRaw",
  file: FilePath,
  { offset = 0, length }: ByteRange,
): Buffer =>
  at(operation[how], file)
    .u64(offset)
    .u64(length ?? toTheEnd)
    .finish();

export function writeRequest(file: FilePath, options: WriteOptions): Buffer {
  const existing = options.existing ?? "replace";
  const flags = flagsOf(
    [options.create !== false, 1],
    [existing === "replace", 2],
    [existing === "append", 4],
    [existing === "refuse", 8],
    [options.atomic, 16],
    [options.parents, 32],
    [options.sync, 64],
  );
  return at(operation.write, file)
    .u32(flags)
    .u32(options.mode ?? 0)
    .u64(options.offset ?? 0)
    .finish();
}

export const mkdirRequest = (file: FilePath, parents: boolean, mode: number): Buffer =>
  at(operation.mkdir, file)
    .u32(parents ? 1 : 0)
    .u32(mode)
    .finish();

export const renameRequest = (file: FilePath, to: string, replace: boolean, parents: boolean): Buffer =>
  at(operation.rename, file)
    .str(to)
    .u32(flagsOf([!replace, 1], [parents, 2]))
    .finish();

export const removeRequest = (file: FilePath, recursive: boolean, missingOk: boolean): Buffer =>
  at(operation.remove, file)
    .u32(flagsOf([recursive, 1], [missingOk, 2]))
    .finish();

export const chmodRequest = (file: FilePath, mode: number): Buffer =>
  at(operation.chmod, file).u32(mode).finish();

const leave = 0xffff_ffff;

export const chownRequest = (
  file: FilePath,
  owner: { readonly uid?: number; readonly gid?: number },
  follow: boolean,
): Buffer =>
  at(operation.chown, file)
    .u32(owner.uid ?? leave)
    .u32(owner.gid ?? leave)
    .u32(noFollow(follow))
    .finish();

export const symlinkRequest = (file: FilePath, target: string): Buffer =>
  at(operation.symlink, file).str(target).finish();

export const readlinkRequest = (file: FilePath): Buffer => at(operation.readlink, file).finish();

export const getXattrRequest = (file: FilePath, name: string, follow: boolean): Buffer =>
  at(operation.xattrGet, file).str(name).u32(noFollow(follow)).finish();

export interface XattrSetOptions {
  readonly follow?: boolean;
  /** `create` fails if the attribute is there, `replace` if it is not. */
  readonly must?: "create" | "replace";
}

export function setXattrRequest(
  file: FilePath,
  name: string,
  value: Uint8Array,
  options: XattrSetOptions,
): Buffer {
  const flags = flagsOf(
    [options.follow === false, 1],
    [options.must === "create", 2],
    [options.must === "replace", 4],
  );
  return finishRequest(at(operation.xattrSet, file).str(name).bytes(value).u32(flags), `cannot set ${name}`);
}

export const listXattrsRequest = (file: FilePath, follow: boolean): Buffer =>
  at(operation.xattrList, file).u32(noFollow(follow)).finish();

export const removeXattrRequest = (file: FilePath, name: string, follow: boolean): Buffer =>
  at(operation.xattrRemove, file).str(name).u32(noFollow(follow)).finish();

export const watchRequest = (file: FilePath, recursive: boolean): Buffer =>
  at(operation.watch, file)
    .u32(recursive ? 1 : 0)
    .finish();
