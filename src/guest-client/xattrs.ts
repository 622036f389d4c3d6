/** Extended attributes of files in the sandbox. */
import { callOnce, type GuestAddress } from "./call.js";
import {
  type FilePath,
  getXattrRequest,
  listXattrsRequest,
  removeXattrRequest,
  setXattrRequest,
  type XattrSetOptions,
} from "./file-requests.js";
import { shown } from "./files.js";
import { nothing } from "./replies.js";

/** A file and one of its attributes, such as `user.comment`. */
export interface FileXattr extends FilePath {
  readonly name: string;
}

export interface FollowOption {
  /** Default true. */
  readonly follow?: boolean;
}

/** `not_found` if the file has no such attribute. */
export async function getXattr(
  address: GuestAddress,
  file: FileXattr,
  options: FollowOption,
  signal: AbortSignal,
): Promise<Buffer> {
  const request = getXattrRequest(file, file.name, options.follow ?? true);
  const operation = { request, what: `cannot read ${file.name} of ${shown(file)}` };
  return callOnce(address, operation, (reader) => reader.bytes(), signal, address.workMs);
}

/** Values have at most 65,536 bytes. */
export async function setXattr(
  address: GuestAddress,
  file: FileXattr & { readonly value: Uint8Array },
  options: XattrSetOptions,
  signal: AbortSignal,
): Promise<void> {
  const request = setXattrRequest(file, file.name, file.value, options);
  const operation = { request, what: `cannot set ${file.name} of ${shown(file)}` };
  return callOnce(address, operation, nothing, signal, address.workMs);
}

export async function listXattrs(
  address: GuestAddress,
  file: FilePath,
  options: FollowOption,
  signal: AbortSignal,
): Promise<string[]> {
  const request = listXattrsRequest(file, options.follow ?? true);
  const operation = { request, what: `cannot list attributes of ${shown(file)}` };
  return callOnce(address, operation, (reader) => reader.list(), signal, address.workMs);
}

export async function removeXattr(
  address: GuestAddress,
  file: FileXattr,
  options: FollowOption,
  signal: AbortSignal,
): Promise<void> {
  const request = removeXattrRequest(file, file.name, options.follow ?? true);
  const operation = { request, what: `cannot remove ${file.name} of ${shown(file)}` };
  return callOnce(address, operation, nothing, signal, address.workMs);
}
