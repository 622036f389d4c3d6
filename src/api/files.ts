/** Files inside a sandbox. */
import type { FileService, WriteFileRequest } from "../gen/ramet/v1/file_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import type { FileInfo } from "../node/files.js";
import { fileToProto, parseFileRef } from "./convert-file.js";
import { type ApiDeps, untilClosing } from "./deps.js";
import { invalid, parseCount, parseMode, parsePath, parseSafeInteger } from "./parse.js";

type FileHandlers = Handlers<typeof FileService>;

const depthMax = 64;
const entriesPerMessage = 256;

export function fileNames({
  node,
}: ApiDeps): Pick<FileHandlers, "stat" | "list" | "makeDir" | "rename" | "remove" | "symlink"> {
  const { files } = node;
  return {
    async stat(request, { signal }) {
      const file = await files.stat(parseFileRef(request), { follow: request.follow }, signal);
      return { file: fileToProto(file) };
    },
    async *list(request, { signal }) {
      const depth = parseCount(request.depth, "depth", 0, depthMax) || 1;
      const entries = files.list(parseFileRef(request), { depth }, signal);
      for await (const batch of batches(entries)) yield { files: batch.map(fileToProto) };
    },
    async makeDir(request, { signal }) {
      const options = { parents: request.parents, mode: parseMode(request.mode, 0o755) };
      await files.makeDir(parseFileRef(request), options, signal);
      return {};
    },
    async rename(request, { signal }) {
      const { sandbox, from, to, user } = request;
      const ref = parseFileRef({ sandbox, path: from, user });
      await files.rename(ref, parsePath(to, "new path"), { parents: false }, signal);
      return {};
    },
    async remove(request, { signal }) {
      await files.remove(parseFileRef(request), { recursive: request.recursive }, signal);
      return {};
    },
    async symlink(request, { signal }) {
      await files.symlink(parseFileRef(request), parsePath(request.target, "target"), signal);
      return {};
    },
  };
}

export function fileData({ node }: ApiDeps): Pick<FileHandlers, "read" | "write"> {
  const { files } = node;
  return {
    async *read(request, { signal }) {
      const length = parseSafeInteger(request.length, "length");
      const offset = parseSafeInteger(request.offset, "offset");
      const range = length === 0 ? { offset } : { offset, length };
      const { file, data } = await files.read(parseFileRef(request), range, signal);
      yield { file: fileToProto(file) };
      for await (const chunk of data) yield { data: chunk };
    },
    async write(requests, { signal }) {
      const messages = requests[Symbol.asyncIterator]();
      const first = await messages.next();
      const message = first.done === true ? undefined : first.value.message;
      if (message?.case !== "open") throw invalid("the first message of the stream must be open");
      const options = { mode: parseMode(message.value.mode, 0o644), parents: message.value.parents };
      const file = await files.write(parseFileRef(message.value), options, dataOf(messages), signal);
      return { file: fileToProto(file) };
    },
  };
}

export function watchFiles(deps: ApiDeps): Pick<FileHandlers, "watch"> {
  return {
    async *watch(request, { signal }) {
      const ref = parseFileRef(request);
      const { recursive } = request;
      yield* untilClosing(deps, signal, (until) => deps.node.files.watch(ref, { recursive }, until));
    },
  };
}

/** Data of a write; like exec's input it never destroys the stream that the answer goes back on. */
function dataOf(messages: AsyncIterator<WriteFileRequest>): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const result = await messages.next();
        if (result.done === true) return { done: true, value: undefined };
        const { message } = result.value;
        if (message.case !== "data") throw invalid("every message after the first must be data");
        return { done: false, value: message.value };
      },
    }),
  };
}

async function* batches(entries: AsyncIterable<FileInfo>): AsyncGenerator<FileInfo[]> {
  let batch: FileInfo[] = [];
  for await (const entry of entries) {
    batch.push(entry);
    if (batch.length < entriesPerMessage) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
