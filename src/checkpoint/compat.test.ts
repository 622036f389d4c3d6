import { describe, expect, it } from "vitest";
import { compareHost, compareVersions, type HostFacts, requireCompatible } from "./compat.js";
import { formatManifest, type Manifest, parseManifest } from "./manifest.js";

const id = (text: string) => text.padEnd(20, "0");
const manifest: Manifest = {
  formatVersion: 2,
  id: id("c1"),
  kind: "user",
  createdAt: new Date("2026-01-02T03:04:05.678Z"),
  sandbox: id("s1"),
  parent: id("c0"),
  base: id("b0"),
  generation: 3,
  spec: {
    image: "debian:12",
    env: { A: "1" },
    user: "",
    cwd: "/",
    limits: { cpus: 1 },
    allowPrivilegeEscalation: false,
    guestVersion: "g1",
  },
  host: {
    architecture: "x86_64",
    kernel: "6.18.0",
    cpuFeatures: ["avx2", "sse2"],
    criuVersion: "4.2.1",
    runcVersion: "1.3.6",
    ids: { base: 100_000, size: 65_536 },
  },
  memoryBytes: 1,
  inheritedBytes: 0,
  layerBytes: 2,
  files: [{ path: "images/pages-1.img", sizeBytes: 3, sha256: "a".repeat(64) }],
};
const host: HostFacts = {
  architecture: "x86_64",
  kernel: "6.18.0",
  cpuFeatures: ["fpu", "sse2", "avx2", "avx512f"],
  criuVersion: "4.2.1",
  runcVersion: "1.3.6",
  guestVersions: ["g0", "g1"],
  ids: { base: 100_000, size: 65_536 },
};

describe("manifest", () => {
  it("reads back what it wrote", () => {
    expect(parseManifest("checkpoint c1", formatManifest(manifest))).toEqual(manifest);
    const { parent: _p, base: _b, ...root } = manifest;
    expect(parseManifest("checkpoint c1", formatManifest(root))).toEqual(root);
  });

  it("reads the first version, which had no shared memory", () => {
    const { inheritedBytes: _i, ...first } = { ...manifest, formatVersion: 1 as const };
    expect(parseManifest("checkpoint c1", formatManifest(first as Manifest))).toEqual({
      ...first,
      inheritedBytes: 0,
    });
  });

  it("notices any flipped digit or letter", () => {
    const text = formatManifest(manifest);
    let noticed = 0;
    for (let i = 0; i < text.length; i++) {
      const char = text.charCodeAt(i);
      if (!/[a-z0-9]/i.test(text.charAt(i))) continue;
      const flipped = text.slice(0, i) + String.fromCharCode(char ^ 1) + text.slice(i + 1);
      expect(() => parseManifest("checkpoint c1", flipped)).toThrow(/checkpoint c1/);
      noticed++;
    }
    expect(noticed).toBeGreaterThan(300);
  });

  it.each([
    [
      "a newer format",
      formatManifest({ ...manifest, formatVersion: 3 as 2 }),
      /format version 3, .* up to 2/,
    ],
    ["a newer format of another shape", '{"formatVersion":7,"x":[]}', /format version 7/],
    ["no JSON", "hello", /damaged: it is not JSON/],
    ["a cut file", formatManifest(manifest).slice(0, 200), /damaged/],
    ["an empty file", "", /damaged/],
    ["another JSON value", "null", /damaged/],
    ["an unknown key", formatManifest({ ...manifest, extra: 1 } as Manifest), /damaged/],
    [
      "a path out of the directory",
      formatManifest({
        ...manifest,
        files: [{ path: "../../etc/shadow", sizeBytes: 1, sha256: "a".repeat(64) }],
      }),
      /damaged/,
    ],
    [
      "an absolute path",
      formatManifest({ ...manifest, files: [{ path: "/etc/shadow", sizeBytes: 1, sha256: "a".repeat(64) }] }),
      /damaged/,
    ],
  ])("refuses %s", (_name, text, message) => {
    const read = () => parseManifest("checkpoint c1", text);
    expect(read).toThrow(message);
    expect(read).toThrow(expect.objectContaining({ code: "failed_precondition" }));
  });
});

describe("compareHost", () => {
  it.each<[string, Partial<HostFacts>, RegExp | undefined, RegExp | undefined]>([
    ["the same machine", {}, undefined, undefined],
    ["another kernel", { kernel: "6.1.0" }, undefined, /made on kernel 6.18.0, this one is 6.1.0/],
    ["a newer CRIU", { criuVersion: "5.0" }, undefined, undefined],
    ["an older CRIU", { criuVersion: "4.1" }, /CRIU 4.2.1, .* older 4.1/, undefined],
    ["another runc", { runcVersion: "1.0" }, undefined, undefined],
    ["a missing CPU feature", { cpuFeatures: ["sse2"] }, /lacks: avx2$/, undefined],
    ["another architecture", { architecture: "aarch64", cpuFeatures: [] }, /made on x86_64/, undefined],
    ["a missing guest", { guestVersions: [] }, /version g1 of the guest/, undefined],
    ["another mapping", { ids: { base: 200_000, size: 65_536 } }, /100000-165535.*200000-265535/, undefined],
  ])("on %s", (_name, over, problem, warning) => {
    const { problems, warnings } = compareHost(manifest, { ...host, ...over });
    expect(problems.length).toBe(problem === undefined ? 0 : 1);
    if (problem !== undefined) expect(problems[0]).toMatch(problem);
    expect(warnings.length).toBe(warning === undefined ? 0 : 1);
    if (warning !== undefined) expect(warnings[0]).toMatch(warning);
  });

  it("names every reason in one error, and few of many features", () => {
    const cpuFeatures = Array.from({ length: 12 }, (_, n) => `f${n}`);
    const made = { ...manifest, host: { ...manifest.host, cpuFeatures } };
    const restore = () => requireCompatible("checkpoint c1", made, { ...host, guestVersions: [] });
    expect(restore).toThrow(/^cannot restore checkpoint c1: .*f7 and 4 more; .*guest/);
    expect(requireCompatible("checkpoint c1", manifest, { ...host, kernel: "x" }).length).toBe(1);
  });
});

describe("compareVersions", () => {
  it.each([
    ["4.2.1", "4.2.1", 0],
    ["4.2", "4.2.0", 0],
    ["4.10", "4.9", 1],
    ["4.2.1", "4.3", -1],
    ["1.3.6+ds1", "1.3.6", 0],
    ["v4.2", "4.1.9", 1],
  ])("%s against %s", (a, b, sign) => expect(Math.sign(compareVersions(a, b))).toBe(sign));
});
