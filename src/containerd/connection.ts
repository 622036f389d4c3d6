/** A gRPC channel to containerd, bound to one of its namespaces and perhaps to a lease. */
import type { DescService } from "@bufbuild/protobuf";
import type { Client as Channel } from "@grpc/grpc-js";
import { type Client, createClient, openChannel } from "../lib/grpc.js";
import { containerdError } from "./errors.js";

/** Bounds of calls, in milliseconds, by what containerd has to do for them. */
export const deadlines = {
  /** Reads and small writes of its database. */
  record: 30_000,
  /** Mounts, signals, freezing. */
  act: 60_000,
  /** Starting a container; a restore reads its memory here. */
  start: 300_000,
  /** Dumping memory. */
  dump: 600_000,
  /** Packing, unpacking and reading layers. */
  layer: 1_800_000,
  /** Importing or pulling an image. */
  transfer: 3_600_000,
} as const;

/**
 * Options of a call that adds something: the caller's signal is heeded before it is sent, not in its middle, as
 * containerd may go through with what it has begun, and undoing that would find nothing to undo yet.
 */
export function uninterrupted(
  signal: AbortSignal | undefined,
  timeoutMs: number = deadlines.record,
): { readonly timeoutMs: number } {
  signal?.throwIfAborted();
  return { timeoutMs };
}

export interface Connection {
  readonly namespace: string;
  service<S extends DescService>(service: S): Client<S>;
  /** The same connection; what is made through it is kept by the lease until that is deleted. */
  underLease(lease: string): Connection;
}

export interface ConnectionOptions {
  /** Path of containerd's socket. */
  readonly address: string;
  readonly namespace: string;
}

export interface OpenConnection extends Connection {
  close(): void;
}

/** Opens the channel; nothing is sent before the first call. */
export function openConnection({ address, namespace }: ConnectionOptions): OpenConnection {
  const channel = openChannel(address.startsWith("/") ? `unix://${address}` : address);
  return { ...connectionOver(channel, namespace, {}), close: () => channel.close() };
}

function connectionOver(channel: Channel, namespace: string, lease: Record<string, string>): Connection {
  const metadata = { "containerd-namespace": namespace, ...lease };
  return {
    namespace,
    service: (service) =>
      createClient(service, channel, { timeoutMs: deadlines.record, metadata, toError: containerdError }),
    underLease: (id) => connectionOver(channel, namespace, { "containerd-lease": id }),
  };
}
