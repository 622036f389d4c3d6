/** containerd's diff service: layer blobs onto mounts, and the difference of two mounts as a layer blob. */
import { Diff as Service } from "../gen/containerd/services/diff/v1/diff_pb.js";
import { type Connection, deadlines } from "./connection.js";
import { descriptorInit, descriptorOf, mountInit } from "./convert.js";
import { attempt, present } from "./errors.js";
import { type Descriptor, mediaTypes } from "./image-format.js";
import type { Mount } from "./mounts.js";

export interface DiffRequest {
  readonly lower: readonly Mount[];
  readonly upper: readonly Mount[];
  readonly mediaType?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Diffs {
  /** Unpacks the layer onto the mounts; the answer describes the uncompressed layer, whose digest is the diff id. */
  apply(layer: Descriptor, mounts: readonly Mount[], signal?: AbortSignal): Promise<Descriptor>;
  /**
   * Writes what `upper` has over `lower` into the content store, gzip by default; the blob's label
   * `containerd.io/uncompressed` holds the diff id. Call it under a lease.
   */
  create(request: DiffRequest, signal?: AbortSignal): Promise<Descriptor>;
}

export function openDiffs(connection: Connection): Diffs {
  const calls = connection.service(Service);
  return {
    apply: (layer, mounts, signal) =>
      attempt(`unpack layer ${layer.digest}`, async () => {
        const request = { diff: descriptorInit(layer), mounts: mounts.map(mountInit) };
        const { applied } = await calls.apply(request, { signal, timeoutMs: deadlines.layer });
        return descriptorOf(present(applied, "the layer"));
      }),
    create: ({ lower, upper, mediaType = mediaTypes.layerGzip, labels = {} }, signal) =>
      attempt("pack a layer", async () => {
        const request = {
          left: lower.map(mountInit),
          right: upper.map(mountInit),
          mediaType,
          labels: { ...labels },
        };
        const { diff } = await calls.diff(request, { signal, timeoutMs: deadlines.layer });
        return descriptorOf(present(diff, "the layer"));
      }),
  };
}
