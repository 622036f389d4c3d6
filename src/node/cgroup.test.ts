import { describe, expect, it } from "vitest";
import {
  cgroupDirectory,
  cgroupLayout,
  freezerDirectory,
  parseCgroupMounts,
  parseKeyed,
  parseLimit,
  parseMembership,
  parseNumber,
} from "./cgroup.js";

const hybrid = `22 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`;
const v1 = hybrid.replace(/^41.*\n/m, "");
const v2 = `30 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
`;
const v1Membership = `9:name=systemd:/user
8:pids:/ramet/abc
4:memory:/ramet/abc
1:cpu,cpuacct:/ramet/abc
0::/
`;

describe("cgroups", () => {
  it.each([
    [v1, "v1"],
    [hybrid, "hybrid"],
    [v2, "v2"],
  ] as const)("are told apart by layout", (mountinfo, layout) => {
    expect(cgroupLayout(parseCgroupMounts(mountinfo))).toBe(layout);
  });

  it.each([
    ["cpuacct", "/sys/fs/cgroup/cpu,cpuacct/ramet/abc"],
    ["memory", "/sys/fs/cgroup/memory/ramet/abc"],
    ["pids", "/sys/fs/cgroup/pids/ramet/abc"],
  ] as const)("of version 1 have a directory for %s", (resource, path) => {
    for (const text of [v1, hybrid]) {
      const found = cgroupDirectory(resource, parseCgroupMounts(text), parseMembership(v1Membership));
      expect(found).toEqual({ version: 1, path });
    }
  });

  it("of version 2 have one for all", () => {
    const found = cgroupDirectory("memory", parseCgroupMounts(v2), parseMembership("0::/ramet/abc\n"));
    expect(found).toEqual({ version: 2, path: "/sys/fs/cgroup/ramet/abc" });
  });

  it.each([
    [hybrid.replace("rw,pids", "rw,freezer"), { version: 1, path: "/sys/fs/cgroup/pids/ramet/abc" }],
    [v2, { version: 2, path: "/sys/fs/cgroup/ramet/abc" }],
  ] as const)("are frozen in version 1's freezer where there is one", (mountinfo, where) => {
    expect(freezerDirectory(parseCgroupMounts(mountinfo), "/ramet/abc")).toEqual(where);
  });

  it("cannot be frozen without a freezer", () => {
    expect(() => freezerDirectory(parseCgroupMounts(v1), "/ramet/abc")).toThrow(
      /no freezer cgroup is mounted/,
    );
  });

  it("are found where only a part is mounted, at a name with a blank", () => {
    const mounts = parseCgroupMounts("30 24 0:27 /node /sys/fs/c\\040g rw - cgroup2 none rw\n");
    const at = (path: string) => cgroupDirectory("pids", mounts, parseMembership(`0::${path}`)).path;
    expect(at("/node/ramet/abc")).toBe("/sys/fs/c g/ramet/abc");
    expect(() => at("/elsewhere/abc")).toThrow(/cannot be found/);
  });

  it("have numbers, limits and lists in their files", () => {
    expect(parseNumber("123\n")).toBe(123n);
    expect(() => parseNumber("many")).toThrow(/unreadable/);
    expect(parseLimit("max\n")).toBeUndefined();
    expect(parseLimit("9223372036854771712\n")).toBeUndefined();
    expect(parseLimit("268435456\n")).toBe(268_435_456);
    expect([...parseKeyed("anon 12\nfile 5\nodd\nlow -1\n")]).toEqual([
      ["anon", 12n],
      ["file", 5n],
    ]);
  });
});
