/** A small runtime spec with a user namespace, for tests of the containerd adapter alone. */
export const testMapping = { hostId: 100_000, size: 65_536 } as const;

export interface TestSpec {
  readonly args: readonly string[];
  /** CRIU configuration file for dump and restore. */
  readonly criuConfig: string;
  readonly env?: readonly string[];
}

export function testSpec({ args, criuConfig, env = [] }: TestSpec): object {
  const mapping = [{ containerID: 0, hostID: testMapping.hostId, size: testMapping.size }];
  return {
    ociVersion: "1.2.0",
    hostname: "test",
    root: { path: "rootfs" },
    annotations: { "org.criu.config": criuConfig },
    process: {
      user: { uid: 0, gid: 0 },
      cwd: "/",
      args,
      env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", ...env],
      noNewPrivileges: true,
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
    ],
    linux: {
      uidMappings: mapping,
      gidMappings: mapping,
      namespaces: ["pid", "mount", "ipc", "uts", "user", "network"].map((type) => ({ type })),
    },
  };
}
