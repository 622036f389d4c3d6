/** File records between the wire and the domain. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type FileInfoSchema, FileType } from "../gen/ramet/v1/file_pb.js";
import type { FileInfo, FileRef } from "../node/files.js";
import { parsePath, parseRef, parseUser, present } from "./parse.js";

const typeToProto = {
  regular: FileType.REGULAR,
  directory: FileType.DIRECTORY,
  symlink: FileType.SYMLINK,
  other: FileType.OTHER,
} as const satisfies Record<FileInfo["type"], FileType>;

/** The three fields that every file request starts with. */
export function parseFileRef(message: { sandbox: string; path: string; user: string }): FileRef {
  return {
    sandbox: parseRef(message.sandbox),
    path: parsePath(message.path),
    ...present({ user: parseUser(message.user) }),
  };
}

export function fileToProto(file: FileInfo): MessageInitShape<typeof FileInfoSchema> {
  return {
    path: file.path,
    name: file.name,
    type: typeToProto[file.type],
    sizeBytes: BigInt(file.sizeBytes),
    mode: file.mode,
    uid: file.uid,
    gid: file.gid,
    owner: file.owner,
    group: file.group,
    modifiedAt: timestampFromDate(file.modifiedAt),
    symlinkTarget: file.symlinkTarget ?? "",
  };
}
