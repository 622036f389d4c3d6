/** Files between the guest's words and the node's. */
import { type FileEntry, modifiedAt, type WatchEvent } from "../guest-client/file-replies.js";
import type { FilePath } from "../guest-client/file-requests.js";
import type { FileChange, FileInfo, FileRef } from "./files.js";
import type { LiveSandbox } from "./running.js";

const types: Partial<Record<FileEntry["type"], FileInfo["type"]>> = {
  file: "regular",
  directory: "directory",
  symlink: "symlink",
};

export function fileInfo(entry: FileEntry): FileInfo {
  const { path, name, sizeBytes, mode, uid, gid, symlinkTarget, targetType, hasAttributes } = entry;
  return {
    ...{ path, name, sizeBytes, mode, uid, gid },
    type: types[entry.type] ?? "other",
    owner: entry.user,
    group: entry.group,
    modifiedAt: modifiedAt(entry),
    ...(symlinkTarget === undefined ? {} : { symlinkTarget }),
    ...(hasAttributes === undefined ? {} : { hasAttributes }),
    ...(targetType === undefined ? {} : { targetType: types[targetType] ?? "other" }),
  };
}

/** The path as the guest takes it, as the sandbox's own user unless another is named. */
export function filePath({ path, user }: FileRef, { spec }: Pick<LiveSandbox, "spec">): FilePath {
  return { path, user: user ?? spec.user };
}

const changes = {
  created: "create",
  written: "write",
  removed: "remove",
  renamed: "rename",
  attributes: "chmod",
  overflow: "rescan",
  gone: "remove",
} as const satisfies Record<WatchEvent["kind"], FileChange["type"]>;

/** `root` is the watched path, absolute. */
export function fileChange(root: string, { kind, name }: WatchEvent): FileChange {
  return { type: changes[kind], path: below(root, name) };
}

function below(root: string, name: string): string {
  if (name === "") return root;
  return root.endsWith("/") ? `${root}${name}` : `${root}/${name}`;
}
