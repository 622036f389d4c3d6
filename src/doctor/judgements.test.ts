import { describe, expect, it } from "vitest";
import { parseCgroupMounts } from "../node/cgroup.js";
import { judgeDataDirectory, judgeRunDirectory } from "./directories.js";
import { isFit, type Judgement, renderFindings } from "./finding.js";
import {
  judgeCgroups,
  judgeConnectionTracking,
  judgeHostLimits,
  judgeIdmappedMounts,
  judgeKernel,
  judgeUserNamespaces,
} from "./kernel.js";
import { judgeOverlayfs } from "./overlayfs.js";
import { judgeContainerd, judgeCriu, judgeRunc } from "./runtime.js";
import { judgeAgent, judgePrivileges, judgeTools } from "./surroundings.js";
import { isAtLeast } from "./version.js";

const gib = 1024 ** 3;
const directory = "/var/lib/ramet";
const address = "/run/c.sock";
const all = (1n << 41n) - 1n;

const v1 = (name: string) => `1 1 0:1 / /sys/fs/cgroup/${name} rw - cgroup cgroup rw,${name}`;
const v2 = "2 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
const cgroups = (lines: readonly string[], v2Controllers: readonly string[] = []) =>
  judgeCgroups(parseCgroupMounts(lines.join("\n")), v2Controllers);
const data = (freeBytes: number, mountOptions: readonly string[] = ["rw"]) =>
  judgeDataDirectory({ directory, freeBytes, mountOptions });
const containerd = (version: string, shim?: string) => judgeContainerd({ version, address, shim });
const criu = (version: string, passed: boolean, remarks: readonly string[] = [], locksNetwork = true) =>
  judgeCriu({ version, passed, remarks, locksNetwork });

const cases: ReadonlyArray<readonly [string, Judgement, Judgement["status"], RegExp]> = [
  ["a new kernel", judgeKernel("6.18.44-cloud"), "ok", /6\.18\.44/],
  ["an old kernel", judgeKernel("5.4.0-1-amd64"), "failure", /5\.4\.0/],
  ["idmapped overlayfs", judgeIdmappedMounts("5.19.0"), "ok", /not tried/],
  ["idmapped mounts without overlayfs", judgeIdmappedMounts("5.15.0-91"), "failure", /5\.15/],
  ["cgroup v2", cgroups([v2], ["cpu", "memory", "pids", "io"]), "ok", /^v2/],
  ["cgroup v2 without memory", cgroups([v2], ["cpu", "pids"]), "failure", /without memory/],
  ["hybrid", cgroups([...["memory", "cpu", "pids", "freezer"].map(v1), v2]), "ok", /^hybrid/],
  ["v1 without a freezer", cgroups(["memory", "cpu", "pids"].map(v1)), "failure", /v1, without freezer/],
  ["no cgroups", cgroups([]), "failure", /no control groups/],
  ["user namespaces", judgeUserNamespaces(1000, undefined), "ok", /1000/],
  ["kernel limits", judgeHostLimits([0, 65_536, 2_000_000, 65_536, 8_388_608]), "ok", /high enough/],
  [
    "low kernel limits",
    judgeHostLimits([16_384, 128, 2_000_000, 200, 8_388_608]),
    "warning",
    /pages-soft, fs\.inotify\.max_user_instances, kernel\.keys\.maxkeys/,
  ],
  ["no connection tracking", judgeConnectionTracking(0), "ok", /none/],
  ["a small table of connections", judgeConnectionTracking(65_536), "ok", /65536/],
  ["a large table of connections", judgeConnectionTracking(262_144), "warning", /some 26 ms longer/],
  ["no user namespaces", judgeUserNamespaces(0, undefined), "failure", /is 0/],
  [
    "forbidden user namespaces",
    judgeUserNamespaces(9, "Operation not permitted"),
    "failure",
    /not permitted/,
  ],
  ["overlayfs", judgeOverlayfs({ isListed: true, parent: "/x", complaint: undefined }), "ok", /\/x/],
  ["no overlayfs", judgeOverlayfs({ isListed: false, parent: "/x", complaint: "c" }), "failure", /has none/],
  [
    "overlay on overlay",
    judgeOverlayfs({ isListed: true, parent: "/x", complaint: "bad" }),
    "failure",
    /bad/,
  ],
  ["room", data(50 * gib), "ok", /50\.0 GiB/],
  ["little room", data(5 * gib), "warning", /5\.0 GiB/],
  ["no room", data(gib / 2), "failure", /0\.5 GiB/],
  ["noexec data", data(50 * gib, ["rw", "nosuid", "noexec"]), "failure", /mounted noexec/],
  ["tmpfs on /run", judgeRunDirectory({ type: "tmpfs", isPinned: true }), "ok", /agent's/],
  ["no tmpfs on /run", judgeRunDirectory({ type: "ext2/ext3", isPinned: false }), "warning", /40 ms/],
  ["all tools", judgeTools([]), "ok", /ip/],
  ["a missing tool", judgeTools(["ip"]), "failure", /missing: ip/],
  ["all privileges", judgePrivileges(all), "ok", /all/],
  ["no CAP_SYS_RESOURCE", judgePrivileges(all & ~(1n << 24n)), "warning", /SYS_RESOURCE/],
  ["no privileges", judgePrivileges(0n), "failure", /CAP_SYS_ADMIN/],
  ["a safe containerd", containerd("v2.1.9+unknown"), "ok", /^2\.1\.9 at/],
  ["a later line", containerd("2.4.0"), "ok", /2\.4\.0/],
  ["an unsafe containerd", containerd("2.1.8"), "failure", /2\.1\.9 restores/],
  ["an unsafe containerd of a later line", containerd("2.2.4"), "failure", /2\.2\.5 restores/],
  ["an old containerd", containerd("1.6.20~ds1"), "failure", /1\.6\.20/],
  ["no shim", containerd("2.1.9", "/opt/x/shim"), "warning", /no \/opt\/x\/shim/],
  ["runc", judgeRunc("1.3.6"), "ok", /1\.3\.6/],
  ["an old runc", judgeRunc("1.1.15"), "failure", /1\.1\.15/],
  ["CRIU", criu("4.2.1", true), "ok", /check passes$/],
  ["CRIU with remarks", criu("4.2", true, ["Dirty tracking is OFF."]), "ok", /OFF/],
  ["an old CRIU", criu("4.1.1", true), "failure", /4\.2 is needed/],
  ["CRIU without nftables", criu("4.2.1", true, [], false), "warning", /TCP connections/],
  ["a failing CRIU", criu("4.2.1", false, ["no kcmp"]), "failure", /fails: no kcmp/],
  ["an agent", judgeAgent("/s", undefined), "ok", /answers/],
  ["no agent", judgeAgent("/s", "ENOENT"), "ok", /not running/],
  ["a dead agent", judgeAgent("/s", "ECONNREFUSED"), "warning", /ECONNREFUSED/],
];

describe("judgements", () => {
  it.each(cases)("%s", (_name, judgement, status, detail) => {
    expect(judgement.status).toBe(status);
    expect(judgement.detail).toMatch(detail);
    expect(judgement.fix === undefined).toBe(status === "ok");
  });
});

it.each([
  ["6.18", "5.19", true],
  ["5.19", "5.19.0", true],
  ["5.9.16", "5.19", false],
  ["10.0", "9.9.9", true],
  ["", "1", false],
])("version %s is at least %s: %s", (version, least, expected) => {
  expect(isAtLeast(version, least)).toBe(expected);
});

describe("the whole", () => {
  const good = { name: "runc", status: "ok", detail: "1.3.6" } as const;
  const bad = { name: "criu", status: "failure", detail: "none", fix: "install it" } as const;

  it("is fit unless something fails", () => {
    expect(isFit([good, { ...good, status: "warning" }])).toBe(true);
    expect(isFit([good, bad])).toBe(false);
  });

  it("is shown line by line, with the fix below", () => {
    expect(renderFindings([good, bad])).toBe(
      "ok       runc  1.3.6\nfailure  criu  none\n               fix: install it",
    );
  });
});
