/** Side channels of containerd's transfer service: archives in, progress and questions for credentials out. */
import { randomUUID } from "node:crypto";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  Streaming as Service,
  StreamInitSchema,
} from "../gen/containerd/services/streaming/v1/streaming_pb.js";
import { DataSchema, WindowUpdateSchema } from "../gen/containerd/types/transfer/streaming_pb.js";
import { DomainError } from "../lib/errors.js";
import { type Connection, deadlines } from "./connection.js";
import { packAny, unpackAny } from "./convert.js";

type PackedMessage = ReturnType<typeof packAny>;

export interface SideStream {
  readonly id: string;
  readonly received: AsyncIterable<Any>;
}

/** Registers a stream with containerd; it lives until the signal is aborted or containerd closes it. */
export async function openStream(
  connection: Connection,
  outgoing: AsyncIterable<PackedMessage>,
  signal: AbortSignal,
): Promise<SideStream> {
  const id = `ramet-${randomUUID()}`;
  const answers = connection
    .service(Service)
    .stream(introduced(id, outgoing), { signal, timeoutMs: deadlines.transfer })
    [Symbol.asyncIterator]();
  // The first answer says that the stream is registered and may be named in a transfer.
  const first = await answers.next();
  if (first.done === true) throw new DomainError("internal", "containerd closed a stream before it began");
  return { id, received: { [Symbol.asyncIterator]: () => answers } };
}

async function* introduced(
  id: string,
  outgoing: AsyncIterable<PackedMessage>,
): AsyncGenerator<PackedMessage> {
  yield packAny(StreamInitSchema, { id });
  yield* outgoing;
}

/** containerd's own chunk size on these streams. */
const chunkBytes = 32 * 1024;

/** Sends bytes as far as containerd's window allows, and reports how many went. */
export async function sendBytes(
  connection: Connection,
  { data, onSent }: { data: AsyncIterable<Uint8Array>; onSent: (bytes: number) => void },
  signal: AbortSignal,
): Promise<{ id: string; ended: Promise<void> }> {
  const window = openWindow(signal);
  const { id, received } = await openStream(connection, chunks(data, window.take, onSent), signal);
  return { id, ended: readUpdates(received, window.grant) };
}

async function readUpdates(received: AsyncIterable<Any>, grant: (bytes: number) => void): Promise<void> {
  for await (const any of received) grant(unpackAny(any, WindowUpdateSchema)?.update ?? 0);
}

async function* chunks(
  data: AsyncIterable<Uint8Array>,
  take: (bytesMax: number) => Promise<number>,
  onSent: (bytes: number) => void,
): AsyncGenerator<PackedMessage> {
  for await (const piece of data) {
    for (let at = 0; at < piece.byteLength; ) {
      const size = await take(Math.min(chunkBytes, piece.byteLength - at));
      yield packAny(DataSchema, { data: piece.subarray(at, at + size) });
      at += size;
      onSent(size);
    }
  }
}

interface Window {
  grant(bytes: number): void;
  /** Waits until something may be sent; takes at most `bytesMax` of it. Throws once the stream is over. */
  take(bytesMax: number): Promise<number>;
}

function openWindow(signal: AbortSignal): Window {
  let remaining = 0;
  let wake = () => {};
  // A sender that waits here would otherwise keep its source open for ever.
  signal.addEventListener("abort", () => wake(), { once: true });
  return {
    grant(bytes) {
      remaining += bytes;
      wake();
    },
    async take(bytesMax) {
      while (remaining <= 0 && !signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      signal.throwIfAborted();
      const size = Math.min(bytesMax, remaining);
      remaining -= size;
      return size;
    },
  };
}
