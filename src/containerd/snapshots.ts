/** containerd's snapshots (filesystem layers) in its overlayfs snapshotter. */
import {
  type Info,
  Kind,
  Snapshots as Service,
} from "../gen/containerd/services/snapshots/v1/snapshots_pb.js";
import { type Connection, deadlines, uninterrupted } from "./connection.js";
import { dateOrEpoch, labelPaths, mountOf } from "./convert.js";
import { attempt, attemptRemoval, present } from "./errors.js";
import type { Mount } from "./mounts.js";

export const snapshotter = "overlayfs";

/** Active is written to, committed may be a parent, view is read-only. */
export type SnapshotKind = "active" | "committed" | "view";

export interface Snapshot {
  readonly key: string;
  /** Empty at the bottom of a chain. */
  readonly parent: string;
  readonly kind: SnapshotKind;
  readonly createdAt: Date;
  readonly labels: Readonly<Record<string, string>>;
}

export interface NewSnapshot {
  readonly key: string;
  /** A committed snapshot, such as an image's chain id. */
  readonly parent: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** False leaves it to the garbage collector once no lease and no reference keeps it. Default true. */
  readonly isRoot?: boolean;
}

export interface SnapshotCommit {
  /** Of the active snapshot. */
  readonly key: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly isRoot?: boolean;
}

/** What is made here is a root for containerd's garbage collector, unless told otherwise: only `remove` removes it. */
export interface Snapshots {
  prepare(snapshot: NewSnapshot, signal?: AbortSignal): Promise<Mount[]>;
  view(snapshot: NewSnapshot, signal?: AbortSignal): Promise<Mount[]>;
  mounts(key: string, signal?: AbortSignal): Promise<Mount[]>;
  /** Turns the active snapshot `key` into the committed one `name`. */
  commit(commit: SnapshotCommit, signal?: AbortSignal): Promise<void>;
  stat(key: string, signal?: AbortSignal): Promise<Snapshot>;
  /** Filters in containerd's syntax, e.g. `labels."ramet.sandbox"==s1`; several are alternatives. */
  list(filters: readonly string[], signal?: AbortSignal): Promise<Snapshot[]>;
  setLabels(key: string, labels: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Snapshot>;
  /** Space of this layer alone. */
  usage(key: string, signal?: AbortSignal): Promise<{ sizeBytes: number; inodes: number }>;
  /** Removes it, or finds it removed. `failed_precondition` while another snapshot has it as parent. */
  remove(key: string, signal?: AbortSignal): Promise<void>;
}

export function openSnapshots(connection: Connection): Snapshots {
  const calls = connection.service(Service);
  return {
    prepare: ({ key, parent, labels, isRoot }, signal) =>
      attempt(`prepare snapshot ${key} on ${parent}`, async () => {
        const request = { snapshotter, key, parent, labels: labelled(labels, isRoot) };
        return (await calls.prepare(request, uninterrupted(signal, deadlines.act))).mounts.map(mountOf);
      }),
    view: ({ key, parent, labels, isRoot }, signal) =>
      attempt(`view snapshot ${parent} as ${key}`, async () => {
        const request = { snapshotter, key, parent, labels: labelled(labels, isRoot) };
        return (await calls.view(request, uninterrupted(signal, deadlines.act))).mounts.map(mountOf);
      }),
    mounts: (key, signal) =>
      attempt(`find the mounts of snapshot ${key}`, async () =>
        (await calls.mounts({ snapshotter, key }, { signal })).mounts.map(mountOf),
      ),
    commit: ({ key, name, labels, isRoot }, signal) =>
      attempt(`commit snapshot ${key} as ${name}`, async () => {
        const request = { snapshotter, key, name, labels: labelled(labels, isRoot) };
        await calls.commit(request, uninterrupted(signal, deadlines.layer));
      }),
    stat: (key, signal) =>
      attempt(`look up snapshot ${key}`, async () =>
        snapshotOf((await calls.stat({ snapshotter, key }, { signal })).info),
      ),
    list: (filters, signal) =>
      attempt("list snapshots", async () => {
        const found: Snapshot[] = [];
        const options = { signal, timeoutMs: deadlines.act };
        for await (const page of calls.list({ snapshotter, filters: [...filters] }, options))
          found.push(...page.info.map(snapshotOf));
        return found;
      }),
    setLabels: (key, labels, signal) =>
      attempt(`label snapshot ${key}`, async () => {
        const request = {
          snapshotter,
          info: { name: key, labels: { ...labels } },
          updateMask: labelPaths(labels),
        };
        return snapshotOf((await calls.update(request, { signal })).info);
      }),
    usage: (key, signal) =>
      attempt(`measure snapshot ${key}`, async () => {
        const { size, inodes } = await calls.usage(
          { snapshotter, key },
          { signal, timeoutMs: deadlines.layer },
        );
        return { sizeBytes: Number(size), inodes: Number(inodes) };
      }),
    remove: (key, signal) =>
      attemptRemoval(`remove snapshot ${key}`, () =>
        calls.remove({ snapshotter, key }, { signal, timeoutMs: deadlines.layer }),
      ),
  };
}

function labelled(labels: Readonly<Record<string, string>> = {}, isRoot = true): Record<string, string> {
  return isRoot ? { "containerd.io/gc.root": "ramet", ...labels } : { ...labels };
}

const kinds = { [Kind.ACTIVE]: "active", [Kind.COMMITTED]: "committed", [Kind.VIEW]: "view" } as const;

function snapshotOf(info: Info | undefined): Snapshot {
  const { name, parent, kind, createdAt, labels } = present(info, "the snapshot");
  const known = kind === Kind.UNKNOWN ? undefined : kinds[kind];
  return { key: name, parent, kind: present(known, "its kind"), createdAt: dateOrEpoch(createdAt), labels };
}
