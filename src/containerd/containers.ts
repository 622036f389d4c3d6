/** containerd's container records. What runs is a task (tasks.ts). */
import {
  type Container as Record_,
  Containers as Service,
} from "../gen/containerd/services/containers/v1/containers_pb.js";
import { DomainError } from "../lib/errors.js";
import { type Connection, uninterrupted } from "./connection.js";
import { dateOrEpoch } from "./convert.js";
import { attempt, attemptRemoval, present } from "./errors.js";
import { snapshotter } from "./snapshots.js";

export interface NewContainer {
  readonly id: string;
  readonly image: string;
  /** OCI runtime spec. */
  readonly spec: object;
  readonly snapshotKey: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The shim that it shares with others (shared-shims.ts). Default: one of its own. */
  readonly shim?: string;
}

export interface Container extends NewContainer {
  readonly createdAt: Date;
}

export interface Containers {
  create(container: NewContainer, signal?: AbortSignal): Promise<Container>;
  get(id: string, signal?: AbortSignal): Promise<Container>;
  /** Filters in containerd's syntax, e.g. `labels."ramet.sandbox"`; several are alternatives. */
  list(filters: readonly string[], signal?: AbortSignal): Promise<Container[]>;
  /** Deletes the record, or finds it deleted. */
  delete(id: string, signal?: AbortSignal): Promise<void>;
}

export const runtime = { name: "io.containerd.runc.v2" };
const specTypeUrl = "types.containerd.io/opencontainers/runtime-spec/1/Spec";

export function openContainers(connection: Connection): Containers {
  const calls = connection.service(Service);
  return {
    create: ({ id, image, spec, snapshotKey, labels, shim }, signal) =>
      attempt(`create container ${id}`, async () => {
        const value = new TextEncoder().encode(JSON.stringify(spec));
        const container = {
          id,
          image,
          snapshotter,
          snapshotKey,
          runtime,
          labels: { ...labels },
          sandbox: shim ?? "",
          spec: { typeUrl: specTypeUrl, value },
        };
        return containerOf((await calls.create({ container }, uninterrupted(signal))).container);
      }),
    get: (id, signal) =>
      attempt(`look up container ${id}`, async () =>
        containerOf((await calls.get({ id }, { signal })).container),
      ),
    list: (filters, signal) =>
      attempt("list containers", async () =>
        (await calls.list({ filters: [...filters] }, { signal })).containers.map(containerOf),
      ),
    delete: (id, signal) => attemptRemoval(`delete container ${id}`, () => calls.delete({ id }, { signal })),
  };
}

function containerOf(record: Record_ | undefined): Container {
  const { id, image, snapshotKey, labels, createdAt, spec, sandbox } = present(record, "the container");
  return {
    id,
    image,
    snapshotKey,
    labels,
    ...(sandbox === "" ? {} : { shim: sandbox }),
    createdAt: dateOrEpoch(createdAt),
    spec: parseSpec(id, spec?.value),
  };
}

function parseSpec(id: string, bytes: Uint8Array | undefined): object {
  const spec: unknown = bytes === undefined ? undefined : JSON.parse(new TextDecoder().decode(bytes));
  if (typeof spec === "object" && spec !== null) return spec;
  throw new DomainError("internal", `container ${id} has no runtime spec`);
}
