/** Mounts as containerd gives them for a snapshot, and what is read out of them. Pure. */
import { DomainError } from "../lib/errors.js";

export interface Mount {
  readonly type: string;
  readonly source: string;
  /** Relative to the root of the mount list; absent is the root itself. */
  readonly target?: string;
  readonly options: readonly string[];
}

/** One range of a user namespace: `size` ids from 0 inside are `hostId` and up outside. */
export interface IdMapping {
  readonly hostId: number;
  readonly size: number;
}

const mappingLabels = {
  uid: "containerd.io/snapshot/uidmapping",
  gid: "containerd.io/snapshot/gidmapping",
} as const;

/**
 * Labels for `prepare` that give a sandbox's user namespace its root filesystem: containerd then idmaps the layers
 * below, while files of the new layer belong to the shifted ids on disk.
 */
export function mappingLabelsOf({ hostId, size }: IdMapping): Record<string, string> {
  const map = `0:${hostId}:${size}`;
  return { [mappingLabels.uid]: map, [mappingLabels.gid]: map };
}

/** Whether files of the snapshot with these labels have shifted owners on disk. */
export function isShifted(labels: Readonly<Record<string, string>>): boolean {
  return mappingLabels.uid in labels || mappingLabels.gid in labels;
}

/** The directory that an active snapshot's own files are in, of the mounts that `prepare` or `mounts` gave. */
export function upperDirectory(mounts: readonly Mount[]): string {
  const [mount] = mounts;
  const upper = mount?.type === "bind" ? mount.source : mount?.options.flatMap(upperOf)[0];
  if (mounts.length === 1 && upper !== undefined && upper !== "") return upper;
  throw new DomainError("internal", `no directory to write to in ${mounts.length} mounts of a snapshot`);
}

/**
 * The same filesystem, read-only: the upper directory of an overlay becomes its topmost lower one, so that it may
 * be mounted a second time.
 */
export function readOnlyMounts(mounts: readonly Mount[]): Mount[] {
  return mounts.map((mount) => {
    const isOverlay = mount.type === "overlay";
    return { ...mount, options: isOverlay ? lowersOnly(mount.options) : bindReadOnly(mount.options) };
  });
}

function bindReadOnly(options: readonly string[]): string[] {
  return [...options.filter((option) => option !== "rw" && option !== "ro"), "ro"];
}

function lowersOnly(options: readonly string[]): string[] {
  const lowers = options.flatMap((option) => after(option, "lowerdir="));
  const others = options.filter((option) => !/^(lower|upper|work)dir=/.test(option));
  return [...others, `lowerdir=${[...options.flatMap(upperOf), ...lowers].join(":")}`];
}

const upperOf = (option: string) => after(option, "upperdir=");

function after(option: string, prefix: string): string[] {
  return option.startsWith(prefix) ? [option.slice(prefix.length)] : [];
}
