/** Single-answer operations on files, each done by the guest as the named user of the sandbox. */
import { callOnce, type GuestAddress } from "./call.js";
import { type FileEntry, type MadeDirectory, readEntry, readMadeDirectory } from "./file-replies.js";
import {
  chmodRequest,
  chownRequest,
  type FilePath,
  mkdirRequest,
  readlinkRequest,
  removeRequest,
  renameRequest,
  statRequest,
  symlinkRequest,
} from "./file-requests.js";
import type { FieldReader } from "./wire.js";

/** A path as it is shown in messages. */
export function shown(file: FilePath): string {
  return file.path.length <= 200 ? file.path : `${file.path.slice(0, 200)}…`;
}

function work<T>(
  address: GuestAddress,
  operation: { readonly request: Uint8Array; readonly what: string },
  read: (reader: FieldReader) => T,
  signal: AbortSignal,
): Promise<T> {
  return callOnce(address, operation, read, signal, address.workMs);
}

export async function stat(
  address: GuestAddress,
  file: FilePath,
  options: { readonly follow?: boolean },
  signal: AbortSignal,
): Promise<FileEntry> {
  const operation = {
    request: statRequest(file, options.follow ?? true),
    what: `cannot look at ${shown(file)}`,
  };
  return work(address, operation, readEntry, signal);
}

/** With `parents` a directory that is there already is a success. `mode` is less the umask 022; default 0777. */
export async function makeDirectory(
  address: GuestAddress,
  file: FilePath,
  options: { readonly parents?: boolean; readonly mode?: number },
  signal: AbortSignal,
): Promise<MadeDirectory> {
  const request = mkdirRequest(file, options.parents ?? false, options.mode ?? 0);
  return work(address, { request, what: `cannot make directory ${shown(file)}` }, readMadeDirectory, signal);
}

/** Renames within one file system. Without `replace` an existing `to` is `already_exists`. */
export async function rename(
  address: GuestAddress,
  file: FilePath & { readonly to: string },
  options: { readonly replace?: boolean; readonly parents?: boolean },
  signal: AbortSignal,
): Promise<FileEntry> {
  const request = renameRequest(file, file.to, options.replace ?? true, options.parents ?? false);
  const what = `cannot rename ${shown(file)} to ${shown({ path: file.to })}`;
  return work(address, { request, what }, readEntry, signal);
}

/** Never follows a link. Returns how many names are gone. Big trees are bounded by the signal alone. */
export async function remove(
  address: GuestAddress,
  file: FilePath,
  options: { readonly recursive?: boolean; readonly missingOk?: boolean },
  signal: AbortSignal,
): Promise<number> {
  const request = removeRequest(file, options.recursive ?? false, options.missingOk ?? false);
  const operation = { request, what: `cannot remove ${shown(file)}` };
  const withinMs = options.recursive ? 10 * address.workMs : address.workMs;
  return callOnce(address, operation, (reader) => reader.u64(), signal, withinMs);
}

export async function changeMode(
  address: GuestAddress,
  file: FilePath,
  mode: number,
  signal: AbortSignal,
): Promise<FileEntry> {
  const operation = { request: chmodRequest(file, mode), what: `cannot change the mode of ${shown(file)}` };
  return work(address, operation, readEntry, signal);
}

export async function changeOwner(
  address: GuestAddress,
  file: FilePath,
  options: { readonly uid?: number; readonly gid?: number; readonly follow?: boolean },
  signal: AbortSignal,
): Promise<FileEntry> {
  const request = chownRequest(file, options, options.follow ?? true);
  return work(address, { request, what: `cannot change the owner of ${shown(file)}` }, readEntry, signal);
}

export async function makeSymlink(
  address: GuestAddress,
  file: FilePath & { readonly target: string },
  signal: AbortSignal,
): Promise<FileEntry> {
  const request = symlinkRequest(file, file.target);
  return work(address, { request, what: `cannot make symbolic link ${shown(file)}` }, readEntry, signal);
}

export async function readSymlink(
  address: GuestAddress,
  file: FilePath,
  signal: AbortSignal,
): Promise<string> {
  const operation = { request: readlinkRequest(file), what: `cannot read symbolic link ${shown(file)}` };
  return work(address, operation, (reader) => reader.str(), signal);
}
