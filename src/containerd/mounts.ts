/**
 * Mount lists for sandboxes. Layers are stored unshifted; a sandbox's user namespace sees them through one
 * idmapped bind mount of the snapshotter's directory, which the overlay mount then covers.
 */
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

/** Where the runc shim mounts a container's root filesystem (containerd's runtime v2 bundle directory). */
export function rootfsTarget(bundle: { state: string; namespace: string; id: string }): string {
  return `${bundle.state}/io.containerd.runtime.v2.task/${bundle.namespace}/${bundle.id}/rootfs`;
}

/**
 * Rewrites the overlay mount that containerd gives for a snapshot into a pair that root inside owns: first the
 * directory of all snapshots, idmapped, on the rootfs target; then the overlay with its paths reached through it.
 * A snapshot without a parent is a plain bind mount, which is idmapped itself.
 * Throws `internal` for mounts of another shape. The kernel needs idmapped mounts on the snapshots' filesystem.
 */
export function idmappedMounts(mounts: readonly Mount[], mapping: IdMapping, target: string): Mount[] {
  const [mount, ...others] = mounts;
  if (mount === undefined || others.length > 0)
    throw new DomainError(
      "internal",
      `cannot idmap a root filesystem of ${mounts.length} mounts; one is expected`,
    );
  const mapOptions = idmapOptions(mapping);
  if (mount.type === "bind") return [{ ...mount, options: [...mount.options, ...mapOptions] }];
  if (mount.type !== "overlay")
    throw new DomainError("internal", `cannot idmap a mount of type ${mount.type}`);
  const base = snapshotsDirectory(mount.options);
  const through = (path: string) => `${target}${path.slice(base.length)}`;
  return [
    { type: "bind", source: base, options: ["rbind", "rw", ...mapOptions] },
    {
      type: "overlay",
      source: "overlay",
      options: mount.options.map((option) => rewriteOption(option, through)),
    },
  ];
}

function idmapOptions({ hostId, size }: IdMapping): [string, string] {
  const map = `0:${hostId}:${size}`;
  return [`uidmap=${map}`, `gidmap=${map}`];
}

const pathOptions = ["lowerdir=", "upperdir=", "workdir="] as const;

/** `<root>/io.containerd.snapshotter.v1.overlayfs/snapshots` of paths such as `…/snapshots/12/fs`. */
function snapshotsDirectory(options: readonly string[]): string {
  const bases = new Set(options.flatMap(pathsOf).map((path) => /^(\/.+)\/\d+\/(?:fs|work)$/.exec(path)?.[1]));
  const [base] = bases;
  if (bases.size !== 1 || base === undefined)
    throw new DomainError(
      "internal",
      `cannot idmap an overlay whose layers have no common directory: ${options.join(",")}`,
    );
  return base;
}

function pathsOf(option: string): string[] {
  const prefix = pathOptions.find((name) => option.startsWith(name));
  return prefix === undefined ? [] : option.slice(prefix.length).split(":");
}

function rewriteOption(option: string, through: (path: string) => string): string {
  const prefix = pathOptions.find((name) => option.startsWith(name));
  return prefix === undefined ? option : prefix + pathsOf(option).map(through).join(":");
}

/**
 * The same filesystem, read-only: the upper directory of an overlay becomes its topmost lower one, so that it may
 * be mounted while a sandbox still writes to it.
 */
export function readOnlyMounts(mounts: readonly Mount[]): Mount[] {
  return mounts.map((mount) => ({
    ...mount,
    options: mount.type === "overlay" ? lowersOnly(mount.options) : bindReadOnly(mount.options),
  }));
}

function bindReadOnly(options: readonly string[]): string[] {
  return [...options.filter((option) => option !== "rw" && option !== "ro"), "ro"];
}

function lowersOnly(options: readonly string[]): string[] {
  const uppers = options.filter((option) => option.startsWith("upperdir=")).flatMap(pathsOf);
  const lowers = options.filter((option) => option.startsWith("lowerdir=")).flatMap(pathsOf);
  const others = options.filter((option) => !pathOptions.some((name) => option.startsWith(name)));
  return [...others, `lowerdir=${[...uppers, ...lowers].join(":")}`];
}
