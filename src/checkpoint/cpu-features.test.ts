import { describe, expect, it } from "vitest";
import { parseCpuInfo, requiredFeatures } from "./cpu-features.js";

const intel = `processor\t: 0
vendor_id\t: GenuineIntel
flags\t\t: fpu vme sse sse2 sse4_1 avx avx2 avx512f avx512_vnni amx_tile bmi1 bmi2 fma smep smap ibrs tsc_known_freq
bugs\t\t: spectre_v1

processor\t: 1
flags\t\t: fpu
`;
const arm = "processor\t: 0\nFeatures\t: fp asimd aes sve\n";

describe("cpu features", () => {
  it.each([
    ["the first of several processors", intel, 17, "fpu"],
    ["aarch64", arm, 4, "fp"],
    ["a text without any", "processor: 0\n", 0, undefined],
    ["nothing", "", 0, undefined],
  ])("reads %s", (_name, text, count, first) => {
    const features = parseCpuInfo(text);
    expect(features.length).toBe(count);
    expect(features[0]).toBe(first);
  });

  it("needs what programs execute, not what only the kernel uses", () => {
    expect(requiredFeatures(parseCpuInfo(intel), "x86_64")).toEqual(
      [
        "amx_tile",
        "avx",
        "avx2",
        "avx512_vnni",
        "avx512f",
        "bmi1",
        "bmi2",
        "fma",
        "sse",
        "sse2",
        "sse4_1",
      ].sort(),
    );
    expect(requiredFeatures(parseCpuInfo(arm), "aarch64")).toEqual(["aes", "asimd", "fp", "sve"]);
  });
});
