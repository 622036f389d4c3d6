/** The sandbox's end of a copy. */
import type { FileInfo } from "../../gen/ramet/v1/file_pb.js";
import { isDomainError } from "../../lib/errors.js";
import type { Api } from "../client.js";
import { fileView, sent } from "../views.js";
import { checkedName, type Entry, joinPath, type Sink, type Source } from "./tree.js";

export interface SandboxPlace {
  readonly sandbox: string;
  /** Empty: the sandbox's default user. */
  readonly user: string;
}

/** Chunks well below the message limit keep progress and cancelling lively. */
const chunkBytes = 64 * 1024;

export function sandboxSource({ files }: Api, place: SandboxPlace, signal: AbortSignal): Source {
  return {
    async entry(path, { follow }) {
      const { file } = await files.stat({ ...place, path, follow }, { signal });
      return { ...entryOf(file), path };
    },
    async *children(directory) {
      for await (const batch of files.list({ ...place, path: directory.path, depth: 1 }, { signal }))
        for (const file of batch.files) {
          const name = checkedName(file.name);
          yield { ...entryOf(file), name, path: joinPath(directory.path, name) };
        }
    },
    async *data({ path }) {
      for await (const { data } of files.read({ ...place, path }, { signal }))
        if (data.length > 0) yield data;
    },
  };
}

function entryOf(file: FileInfo | undefined): Entry {
  const { path, name, type, sizeBytes, symlinkTarget } = fileView(file);
  const entry = { path, name, type, sizeBytes, mode: sent(file, "file").mode };
  return symlinkTarget === undefined ? entry : { ...entry, symlinkTarget };
}

export function sandboxSink({ files }: Api, place: SandboxPlace, signal: AbortSignal): Sink {
  return {
    async kindOf(path) {
      try {
        const { file } = await files.stat({ ...place, path, follow: true }, { signal });
        return fileView(file).type === "directory" ? "directory" : "file";
      } catch (error) {
        if (isDomainError(error, "not_found")) return undefined;
        throw error;
      }
    },
    async makeDirectory(path, mode) {
      await files.makeDir({ ...place, path, mode, parents: true }, { signal });
    },
    async writeFile(path, mode, data) {
      await files.write(writeRequests({ ...place, path, mode, parents: false }, data), {
        signal,
        timeoutMs: 0,
      });
    },
    async makeSymlink(path, target) {
      try {
        await files.symlink({ ...place, path, target }, { signal });
      } catch (error) {
        if (!isDomainError(error, "already_exists")) throw error;
        await files.remove({ ...place, path }, { signal });
        await files.symlink({ ...place, path, target }, { signal });
      }
    },
  };
}

interface WriteOpen extends SandboxPlace {
  readonly path: string;
  readonly mode: number;
  readonly parents: boolean;
}

async function* writeRequests(open: WriteOpen, data: AsyncIterable<Uint8Array>) {
  yield { message: { case: "open" as const, value: open } };
  for await (const chunk of data)
    for (let at = 0; at < chunk.length; at += chunkBytes)
      yield { message: { case: "data" as const, value: chunk.subarray(at, at + chunkBytes) } };
}
