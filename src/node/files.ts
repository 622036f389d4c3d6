/** Files inside a sandbox, on behalf of one of its users, as the node offers them. */
export interface FileInfo {
  readonly path: string;
  readonly name: string;
  readonly type: "regular" | "directory" | "symlink" | "other";
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly owner: string;
  readonly group: string;
  readonly modifiedAt: Date;
  readonly symlinkTarget?: string;
  /** Of what a symbolic link leads to; absent where that is missing. */
  readonly targetType?: FileInfo["type"];
  /** Extended ones, anybody's; absent where nobody has looked. */
  readonly hasAttributes?: boolean;
}

/** A user of a sandbox, from its own /etc/passwd. */
export interface SandboxUser {
  readonly uid: number;
  readonly gid: number;
  /** Empty for a uid that is not in there. */
  readonly name: string;
  readonly home: string;
}

/** Where, and as whom; no user means the sandbox's default one. */
export interface FileRef {
  readonly sandbox: string;
  readonly path: string;
  readonly user?: string;
}

export interface FileChange {
  readonly type: "ready" | "create" | "write" | "remove" | "rename" | "chmod" | "rescan";
  readonly path: string;
}

export interface Files {
  stat(ref: FileRef, options: { readonly follow: boolean }, signal: AbortSignal): Promise<FileInfo>;
  list(ref: FileRef, options: { readonly depth: number }, signal: AbortSignal): AsyncIterable<FileInfo>;
  read(
    ref: FileRef,
    range: { readonly offset: number; readonly length?: number },
    signal: AbortSignal,
  ): Promise<{ readonly file: FileInfo; readonly data: AsyncIterable<Uint8Array> }>;
  /** `inPlace`: over the file that is there, piece by piece; else it appears whole. */
  write(
    ref: FileRef,
    options: { readonly mode: number; readonly parents: boolean; readonly inPlace?: boolean },
    data: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<FileInfo>;
  makeDir(
    ref: FileRef,
    options: { readonly parents: boolean; readonly mode: number },
    signal: AbortSignal,
  ): Promise<{ readonly created: boolean; readonly file: FileInfo }>;
  /** `parents`: makes the directories above `to`. */
  rename(
    ref: FileRef,
    to: string,
    options: { readonly parents: boolean },
    signal: AbortSignal,
  ): Promise<FileInfo>;
  remove(
    ref: FileRef,
    options: { readonly recursive: boolean; readonly missingOk?: boolean },
    signal: AbortSignal,
  ): Promise<void>;
  changeOwner(
    ref: FileRef,
    owner: { readonly uid: number; readonly gid: number },
    signal: AbortSignal,
  ): Promise<FileInfo>;
  symlink(ref: FileRef, target: string, signal: AbortSignal): Promise<void>;
  watch(
    ref: FileRef,
    options: { readonly recursive: boolean },
    signal: AbortSignal,
  ): AsyncIterable<FileChange>;
  /** Extended attributes whose names begin with `prefix`, without it. None where the file system has none. */
  attributes(ref: FileRef, prefix: string, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /** Sets these, and removes others that begin with `prefix`. */
  setAttributes(
    ref: FileRef,
    prefix: string,
    values: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void>;
  /** Default: the sandbox's own user. */
  user(sandbox: string, name: string | undefined, signal: AbortSignal): Promise<SandboxUser>;
}
