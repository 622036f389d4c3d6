/** Changes below a directory: as a stream, and kept for clients that poll. */
import { posix } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { EventType, type FilesystemEventSchema } from "../gen/e2b/filesystem_pb.js";
import type { FileChange, FileRef } from "../node/files.js";
import { answering, streaming } from "./call.js";
import type { EnvdCall, EnvdDeps } from "./deps.js";
import { entryOf } from "./entry.js";
import { invalid } from "./failure.js";
import { silence, withSilence } from "./keepalive.js";
import { placeOf, shown } from "./place.js";
import { openWatchers } from "./watchers.js";

export type Event = MessageInitShape<typeof FilesystemEventSchema>;

interface WatchRequest {
  readonly path: string;
  readonly recursive: boolean;
  readonly includeEntry: boolean;
}
interface OneWatcher {
  readonly watcherId: string;
}

export function watchService(deps: EnvdDeps) {
  const watchers = openWatchers(deps.node);
  return {
    watchDir: streaming(async function* (request: WatchRequest, call: EnvdCall, signal: AbortSignal) {
      const events = eventsOf(deps, await openWatch(deps, request, call, signal), signal);
      for await (const item of withSilence(events, call.keepaliveMs))
        if (item === silence) yield { event: { case: "keepalive" as const, value: {} } };
        else if (item === "ready") yield { event: { case: "start" as const, value: {} } };
        else yield { event: { case: "filesystem" as const, value: item } };
    }),
    createWatcher: answering(async (request: WatchRequest, call, signal) => {
      const watch = await openWatch(deps, request, call, signal);
      const open = (until: AbortSignal) => eventsOf(deps, watch, until);
      return { watcherId: await watchers.create(call.sandbox, open, signal) };
    }),
    getWatcherEvents: answering(async ({ watcherId }: OneWatcher, { sandbox }, signal) => ({
      events: await watchers.take(sandbox, watcherId, signal),
    })),
    removeWatcher: answering(async ({ watcherId }: OneWatcher, { sandbox }) => {
      watchers.remove(sandbox, watcherId);
      return {};
    }),
  };
}

export interface Watch {
  readonly place: FileRef;
  readonly recursive: boolean;
  readonly includeEntry: boolean;
}

async function openWatch(
  { node }: EnvdDeps,
  { path, recursive, includeEntry }: WatchRequest,
  call: EnvdCall,
  signal: AbortSignal,
): Promise<Watch> {
  const place = await placeOf(node, call, path, signal);
  const { type } = await node.files.stat(place, { follow: true }, signal);
  if (type !== "directory") throw invalid(`${shown(path)} is not a directory`);
  return { place, recursive, includeEntry };
}

const types: Partial<Record<FileChange["type"], EventType>> = {
  create: EventType.CREATE,
  write: EventType.WRITE,
  remove: EventType.REMOVE,
  rename: EventType.RENAME,
  chmod: EventType.CHMOD,
};
/** After these the file is there. */
const withEntry: readonly FileChange["type"][] = ["create", "write", "chmod"];

/** `ready` first. Changes over a checkpoint have no word in this protocol. */
async function* eventsOf(
  { node }: EnvdDeps,
  { place, recursive, includeEntry }: Watch,
  signal: AbortSignal,
): AsyncGenerator<Event | "ready"> {
  let root = "";
  for await (const { type, path } of node.files.watch(place, { recursive }, signal)) {
    if (type === "ready") {
      root = path;
      yield "ready";
    }
    const eventType = types[type];
    if (eventType === undefined) continue;
    const entry =
      includeEntry && withEntry.includes(type) ? await look({ ...place, path }, signal) : undefined;
    // As E2B calls the directory itself.
    const name = posix.relative(root, path) || ".";
    yield { name, type: eventType, ...(entry === undefined ? {} : { entry }) };
  }

  /** Undefined for what has gone in the meantime, or is not the user's to see. */
  async function look(ref: FileRef, until: AbortSignal) {
    try {
      return await entryOf(node, ref, await node.files.stat(ref, { follow: false }, until), until);
    } catch {
      return undefined;
    }
  }
}
