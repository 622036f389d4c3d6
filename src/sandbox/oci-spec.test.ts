import { describe, expect, it } from "vitest";
import { childCapsMask, guestCapabilities } from "./capabilities.js";
import { buildOciSpec, type Placement } from "./oci-spec.js";
import type { Limits, SandboxSpec } from "./sandbox.js";

const spec: SandboxSpec = {
  image: "debian:12",
  env: { SECRET: "x" },
  user: "",
  cwd: "/work",
  limits: {},
  allowPrivilegeEscalation: false,
  guestVersion: "g1",
};
const placement: Placement = {
  id: "a1b2",
  guestDir: "/data/sandboxes/a1b2/guest",
  criuConfigPath: "/run/ramet/criu.conf",
  uidBase: 100_000,
  idCount: 65_536,
  hookPath: "/var/lib/ramet/guest/g1/guest",
  emptyDir: "/var/lib/ramet/empty",
};
const build = (over: Partial<SandboxSpec> = {}, at: Partial<Placement> = {}) =>
  buildOciSpec({ ...spec, ...over }, { ...placement, ...at });

describe("buildOciSpec", () => {
  it("starts the guest as PID 1 with its own namespaces and mapping", () => {
    const built = build();
    expect(built.process.args).toEqual([
      "/.ramet/guest",
      "--socket",
      "/.ramet/guest.sock",
      "--child-caps",
      childCapsMask,
    ]);
    expect(built.linux.namespaces.map((n) => n.type).sort()).toEqual(
      ["ipc", "mount", "network", "pid", "user", "uts"].sort(),
    );
    expect(built.linux.uidMappings).toEqual([{ containerID: 0, hostID: 100_000, size: 65_536 }]);
    expect(built.linux.gidMappings).toEqual(built.linux.uidMappings);
    expect(built.hostname).toBe("a1b2");
    expect(built.linux.cgroupsPath).toBe("/ramet/a1b2");
    expect(built.annotations).toEqual({ "org.criu.config": "/run/ramet/criu.conf" });
  });

  it("binds the guest's directory, an empty one, and nothing else of the host", () => {
    const binds = build().mounts.filter((m) => m.type === "bind");
    expect(binds).toEqual([
      {
        destination: "/sys/firmware",
        type: "bind",
        source: "/var/lib/ramet/empty",
        options: ["bind", "ro", "nosuid", "nodev", "noexec"],
      },
      {
        destination: "/.ramet",
        type: "bind",
        source: "/data/sandboxes/a1b2/guest",
        options: ["bind", "rw", "nosuid", "nodev"],
      },
    ]);
  });

  it("tells nobody the user's environment through PID 1", () =>
    expect(JSON.stringify(build())).not.toContain("SECRET"));

  it.each([
    [false, true, false],
    [true, false, true],
  ])("with allowPrivilegeEscalation %s sets no-new-privileges %s", (allowed, noNew, flag) => {
    const { process } = build({ allowPrivilegeEscalation: allowed });
    expect(process.noNewPrivileges).toBe(noNew);
    expect(process.args.includes("--allow-new-privs")).toBe(flag);
  });

  it("joins a network namespace by path, and then neither hooks nor mounts sysfs", () => {
    const built = build({}, { netnsPath: "/run/netns/x" });
    expect(built.linux.namespaces).toContainEqual({ type: "network", path: "/run/netns/x" });
    expect(built.hooks).toBeUndefined();
    expect(built.mounts.some((m) => m.type === "sysfs")).toBe(false);
    expect(build().hooks?.createRuntime.length).toBe(1);
    expect(build().mounts.some((m) => m.type === "sysfs")).toBe(true);
  });

  it.each<[Limits, object]>([
    [{}, {}],
    [{ memoryBytes: 64 << 20 }, { memory: { limit: 64 << 20 } }],
    [{ pids: 100 }, { pids: { limit: 100 } }],
    [{ cpus: 0.5 }, { cpu: { quota: 50_000, period: 100_000, shares: 512 } }],
    [{ cpus: 0.001 }, { cpu: { quota: 1000, period: 100_000, shares: 2 } }],
    [{ cpus: 3 }, { cpu: { quota: 300_000, period: 100_000, shares: 3072 } }],
  ])("turns the limits %j into %j", (limits, expected) => {
    const { devices, ...rest } = build({ limits }).linux.resources;
    expect(rest).toEqual(expected);
    expect(devices).toEqual([{ allow: false, access: "rwm" }]);
  });

  it("keeps capabilities few", () => {
    expect(childCapsMask).toBe("800405fb");
    expect(guestCapabilities).not.toContain("CAP_NET_ADMIN");
    expect(guestCapabilities).not.toContain("CAP_SYS_PTRACE");
    const { capabilities } = build().process;
    expect(capabilities["inheritable"]).toEqual([]);
    expect(capabilities["ambient"]).toEqual([]);
  });
});
