/** A tree of files at either end of a copy. Paths are joined as text: `..` keeps the kernel's meaning. */
import { DomainError } from "../../lib/errors.js";

export interface Entry {
  readonly path: string;
  readonly name: string;
  readonly type: "regular" | "directory" | "symlink" | "other";
  /** Permission bits. */
  readonly mode: number;
  readonly sizeBytes: number;
  readonly symlinkTarget?: string;
}

export interface Source {
  /** The entry at `path`; `not_found` when there is none. */
  entry(path: string, options: { readonly follow: boolean }): Promise<Entry>;
  children(directory: Entry): AsyncIterable<Entry>;
  data(file: Entry): AsyncIterable<Uint8Array>;
}

export interface Sink {
  /** What is at `path`, symbolic links followed. */
  kindOf(path: string): Promise<"directory" | "file" | undefined>;
  /** Nothing happens where the directory exists. */
  makeDirectory(path: string, mode: number): Promise<void>;
  writeFile(path: string, mode: number, data: AsyncIterable<Uint8Array>): Promise<void>;
  makeSymlink(path: string, target: string): Promise<void>;
}

export function joinPath(directory: string, name: string): string {
  return directory.endsWith("/") ? `${directory}${name}` : `${directory}/${name}`;
}

/** Names come from the other side of an isolation border: one that could lead elsewhere is refused. */
export function checkedName(name: string): string {
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name))
    throw new DomainError(
      "internal",
      `a directory in the sandbox lists an impossible name: ${JSON.stringify(name)}`,
    );
  return name;
}
