/** Between protobuf's types and plain ones. */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { Any, Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Descriptor as ProtoDescriptor } from "../gen/containerd/types/descriptor_pb.js";
import type { Mount as ProtoMount } from "../gen/containerd/types/mount_pb.js";
import type { Descriptor } from "./image-format.js";
import type { Mount } from "./mounts.js";

/** Packs a message the way containerd's typeurl package does: the type URL is the bare message name. */
export function packAny<D extends DescMessage>(
  desc: D,
  init: MessageInitShape<D>,
): { typeUrl: string; value: Uint8Array } {
  return { typeUrl: desc.typeName, value: toBinary(desc, create(desc, init)) };
}

/** Gives the message when the Any holds one of that type. */
export function unpackAny<D extends DescMessage>(any: Any, desc: D): MessageShape<D> | undefined {
  const typeName = any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
  return typeName === desc.typeName ? fromBinary(desc, any.value) : undefined;
}

/** Go's zero time, which stands for "never", lies before the epoch. */
export function dateOf(timestamp: Timestamp | undefined): Date | undefined {
  return timestamp === undefined || timestamp.seconds <= 0n ? undefined : timestampDate(timestamp);
}

/** For times that containerd always sets. */
export function dateOrEpoch(timestamp: Timestamp | undefined): Date {
  return dateOf(timestamp) ?? new Date(0);
}

export function mountOf({ type, source, target, options }: ProtoMount): Mount {
  return target === "" ? { type, source, options } : { type, source, target, options };
}

export function mountInit(mount: Mount): { type: string; source: string; target: string; options: string[] } {
  return { type: mount.type, source: mount.source, target: mount.target ?? "", options: [...mount.options] };
}

export function descriptorOf({ mediaType, digest, size, annotations }: ProtoDescriptor): Descriptor {
  return { mediaType, digest, size: Number(size), annotations };
}

export function descriptorInit({ mediaType, digest, size, annotations }: Descriptor): {
  mediaType: string;
  digest: string;
  size: bigint;
  annotations: Record<string, string>;
} {
  return { mediaType, digest, size: BigInt(size), annotations: { ...annotations } };
}

/** Paths of a field mask that touches these labels only. */
export function labelPaths(labels: Readonly<Record<string, string>>): { paths: string[] } {
  return { paths: Object.keys(labels).map((name) => `labels.${name}`) };
}
