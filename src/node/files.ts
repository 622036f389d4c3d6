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
  write(
    ref: FileRef,
    options: { readonly mode: number; readonly parents: boolean },
    data: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<FileInfo>;
  makeDir(
    ref: FileRef,
    options: { readonly parents: boolean; readonly mode: number },
    signal: AbortSignal,
  ): Promise<void>;
  rename(ref: FileRef, to: string, signal: AbortSignal): Promise<void>;
  remove(ref: FileRef, options: { readonly recursive: boolean }, signal: AbortSignal): Promise<void>;
  symlink(ref: FileRef, target: string, signal: AbortSignal): Promise<void>;
  watch(
    ref: FileRef,
    options: { readonly recursive: boolean },
    signal: AbortSignal,
  ): AsyncIterable<FileChange>;
}
