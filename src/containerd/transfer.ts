/** containerd's transfer service: moves images between archives, registries and the image store, and unpacks them. */
import type { Any } from "@bufbuild/protobuf/wkt";
import { Transfer as Service } from "../gen/containerd/services/transfer/v1/transfer_pb.js";
import { ImageStoreSchema } from "../gen/containerd/types/transfer/imagestore_pb.js";
import { ProgressSchema } from "../gen/containerd/types/transfer/progress_pb.js";
import { type Connection, deadlines } from "./connection.js";
import { packAny, unpackAny } from "./convert.js";
import type { Platform } from "./image-format.js";
import { snapshotter } from "./snapshots.js";
import { openStream } from "./streaming.js";

type PackedMessage = ReturnType<typeof packAny>;

/** What a person sees of an import or a pull. `totalBytes` is 0 while unknown, and may grow. */
export interface ImageProgress {
  readonly phase: "receiving" | "unpacking" | "done";
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** One report of containerd about one blob or about the whole. */
export interface TransferEvent {
  readonly event: string;
  readonly name: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface TransferRequest {
  readonly source: PackedMessage;
  readonly destination: PackedMessage;
  readonly onEvent?: (event: TransferEvent) => void;
}

/** The image store as destination: keeps this platform only, and unpacks it. */
export function unpackedImage(
  image: { name: string; labels: Readonly<Record<string, string>> },
  platform: Platform,
): PackedMessage {
  const { name, labels } = image;
  return packAny(ImageStoreSchema, {
    name,
    labels: { ...labels },
    platforms: [platform],
    unpacks: [{ platform, snapshotter }],
  });
}

/** Runs one transfer. The signal also ends the side streams that belong to it. */
export async function transfer(
  connection: Connection,
  request: TransferRequest,
  signal: AbortSignal,
): Promise<void> {
  const { source, destination, onEvent } = request;
  const progress = onEvent === undefined ? undefined : await openStream(connection, nothing(), signal);
  if (progress !== undefined && onEvent !== undefined) void report(progress.received, onEvent);
  await connection
    .service(Service)
    .transfer(
      { source, destination, options: { progressStream: progress?.id ?? "" } },
      { signal, timeoutMs: deadlines.transfer },
    );
}

async function* nothing(): AsyncGenerator<PackedMessage> {}

/** Progress is for the eyes: that its stream broke does not fail the transfer, whose own answer counts. */
async function report(received: AsyncIterable<Any>, onEvent: (event: TransferEvent) => void): Promise<void> {
  try {
    for await (const any of received) {
      const it = unpackAny(any, ProgressSchema);
      if (it !== undefined)
        onEvent({
          event: it.event,
          name: it.name,
          doneBytes: Number(it.progress),
          totalBytes: Number(it.total),
        });
    }
  } catch {
    return;
  }
}
