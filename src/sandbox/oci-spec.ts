/**
 * The OCI runtime spec of a sandbox, made anew from its record at every start and restore, never taken from
 * an image or a checkpoint. The format is the OCI runtime specification 1.2.
 */
import { childCapsMask, guestCapabilities } from "./capabilities.js";
import type { Limits, SandboxSpec } from "./sandbox.js";
import { type SeccompProfile, seccompProfile } from "./seccomp.js";

/** Where a sandbox runs: what differs between a sandbox and its clones. */
export interface Placement {
  readonly id: string;
  /** Default: the id. A restored sandbox keeps its source's until the guest is given its identity. */
  readonly hostname?: string;
  /** Default: as cgroupsPathOf(id) gives. */
  readonly cgroupsPath?: string;
  /** Host directory that appears at /.ramet: the guest's binary and socket. */
  readonly guestDir: string;
  /** Annotation `org.criu.config`: the file that runc hands to CRIU. */
  readonly criuConfigPath: string;
  /** Host id of the sandbox's root. */
  readonly uidBase: number;
  readonly idCount: number;
  /**
   * Network namespace to join, loopback up already. Default: a new one of the sandbox's own, whose loopback
   * the hook at `hookPath` brings up.
   */
  readonly netnsPath?: string;
  /** The guest's binary, on the host. */
  readonly hookPath: string;
  /** A directory with nothing in it, which hides what the host has to show. */
  readonly emptyDir: string;
}

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface OciSpec {
  readonly ociVersion: string;
  readonly hostname: string;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly process: {
    readonly terminal: boolean;
    readonly user: { readonly uid: number; readonly gid: number };
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
    readonly noNewPrivileges: boolean;
    readonly capabilities: Readonly<Record<string, readonly string[]>>;
  };
  readonly mounts: readonly OciMount[];
  readonly hooks?: { readonly createRuntime: readonly OciHook[] };
  readonly annotations: Readonly<Record<string, string>>;
  readonly linux: {
    readonly cgroupsPath: string;
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    readonly uidMappings: readonly IdMapping[];
    readonly gidMappings: readonly IdMapping[];
    readonly resources: OciResources;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly seccomp: SeccompProfile;
  };
}

export interface OciHook {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly timeout: number;
}

export interface OciResources {
  readonly devices: readonly { readonly allow: boolean; readonly access: string }[];
  readonly memory?: { readonly limit: number };
  readonly cpu?: { readonly quota: number; readonly period: number; readonly shares: number };
  readonly pids?: { readonly limit: number };
}

export const guestMountPoint = "/.ramet";
/** Where processes see the files of shared memory; their directory is in the sandbox's guest directory. */
export const memoryPath = `${guestMountPoint}/memory`;
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Each mount costs an RCU grace period at every restore. What only host root may open or write (sysrq,
// kcore's like, most of /proc/sys) is out of reach of a mapped root; these are what would still be readable. Which
// hardware there is (/proc/acpi, /proc/scsi) is in /sys as well, and a masked directory is a tmpfs, which CRIU has tar
// pack and unpack.
const maskedPaths = [
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/timer_list",
];
const readonlyPaths = ["/proc/sys"];

/** The control group of a sandbox, from the root of each hierarchy. */
export const cgroupsPathOf = (id: string): string => `/ramet/${id}`;

export function buildOciSpec(spec: SandboxSpec, placement: Placement): OciSpec {
  const { id, uidBase, idCount, netnsPath } = placement;
  const mapping = [{ containerID: 0, hostID: uidBase, size: idCount }];
  return {
    ociVersion: "1.2.0",
    hostname: placement.hostname ?? id,
    root: { path: "rootfs", readonly: false },
    process: guestProcess(spec),
    mounts: mountsOf(placement),
    ...(netnsPath === undefined ? { hooks: { createRuntime: [loopbackHook(placement.hookPath)] } } : {}),
    annotations: { "org.criu.config": placement.criuConfigPath },
    linux: {
      cgroupsPath: placement.cgroupsPath ?? cgroupsPathOf(id),
      namespaces: [
        ...["pid", "mount", "ipc", "uts", "user"].map((type) => ({ type })),
        netnsPath === undefined ? { type: "network" } : { type: "network", path: netnsPath },
      ],
      uidMappings: mapping,
      gidMappings: mapping,
      resources: resourcesOf(spec.limits),
      maskedPaths,
      readonlyPaths,
      seccomp: seccompProfile,
    },
  };
}

function guestProcess({ allowPrivilegeEscalation }: SandboxSpec): OciSpec["process"] {
  const socket = `${guestMountPoint}/guest.sock`;
  const args = [`${guestMountPoint}/guest`, "--socket", socket, "--child-caps", childCapsMask];
  return {
    terminal: false,
    user: { uid: 0, gid: 0 },
    args: allowPrivilegeEscalation ? [...args, "--allow-new-privs"] : args,
    env: [`PATH=${path}`],
    cwd: "/",
    noNewPrivileges: !allowPrivilegeEscalation,
    // Nothing inheritable or ambient: a process has what its uid and the bounding set give it.
    capabilities: {
      bounding: guestCapabilities,
      effective: guestCapabilities,
      permitted: guestCapabilities,
      inheritable: [],
      ambient: [],
    },
  };
}

function mountsOf({ guestDir, emptyDir, netnsPath }: Placement): OciMount[] {
  const mount = (destination: string, type: string, options: string[], source = type): OciMount => ({
    destination,
    type,
    source,
    options,
  });
  const noDevices = ["nosuid", "nodev"];
  return [
    mount("/proc", "proc", [...noDevices, "noexec"]),
    // The kernel lets only the owner of the network namespace mount its sysfs.
    ...(netnsPath === undefined
      ? [
          mount("/sys", "sysfs", [...noDevices, "noexec", "ro"]),
          // As a masked path it would be a tmpfs, which CRIU has tar pack and unpack.
          mount("/sys/firmware", "bind", ["bind", "ro", ...noDevices, "noexec"], emptyDir),
        ]
      : []),
    // runc adds the devices, a bind mount each. A prepared directory bound here instead would save those, but
    // PID 1's standard streams would then be of the host's /dev, which CRIU cannot find again.
    // The guest makes /dev/shm in it: CRIU has tar pack and unpack each tmpfs, 6 ms each time.
    mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755"]),
    mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    mount(guestMountPoint, "bind", ["bind", "rw", ...noDevices], guestDir),
  ];
}

function loopbackHook(path: string): OciHook {
  return { path, args: ["guest", "--loopback"], env: [], timeout: 10 };
}

const cpuPeriodUs = 100_000;

function resourcesOf({ cpus, memoryBytes, pids }: Limits): OciResources {
  return {
    // Everything is denied first; runc itself then allows null, zero, full, random, urandom, tty and ptys.
    devices: [{ allow: false, access: "rwm" }],
    ...(memoryBytes === undefined ? {} : { memory: { limit: memoryBytes } }),
    ...(cpus === undefined ? {} : { cpu: cpuOf(cpus) }),
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
  };
}

// The kernel takes no quota under 1 ms, and from 2 to 262144 shares.
function cpuOf(cpus: number) {
  return {
    quota: Math.max(1000, Math.round(cpus * cpuPeriodUs)),
    period: cpuPeriodUs,
    shares: Math.min(262_144, Math.max(2, Math.round(cpus * 1024))),
  };
}
