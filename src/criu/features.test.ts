import { describe, expect, it } from "vitest";
import {
  parseContainerdVersion,
  parseCriuCheck,
  parseCriuVersion,
  parseRuncVersion,
  readCriuVersion,
} from "./features.js";

describe("versions", () => {
  it.each([
    ["Version: 4.2.1\n", "4.2.1"],
    ["Version: 4.2\nGitID: v4.2-1-g2cf8f13ca\n", "4.2"],
    ["", undefined],
  ])("of CRIU in %j", (output, version) => expect(parseCriuVersion(output)).toBe(version));

  it("of runc and containerd as Debian and upstream print them", () => {
    expect(parseRuncVersion("runc version 1.3.6+ds1\nspec: 1.2.0\n")).toBe("1.3.6");
    expect(parseRuncVersion("runc version 1.1.5\ncommit: 1.1.5\n")).toBe("1.1.5");
    expect(parseContainerdVersion("containerd github.com/containerd/containerd/v2 2.1.9+unknown \n")).toBe(
      "2.1.9",
    );
    expect(parseContainerdVersion("containerd github.com/containerd/containerd/v2 v2.2.5 abc\n")).toBe(
      "2.2.5",
    );
  });
});

describe("criu check", () => {
  it("passes by its exit code, with what it misses", () => {
    const output = [
      "Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted",
      "Warn  (criu/kerndat.c:1290): Can't keep kdat cache on non-tempfs",
      "Warn  (criu/cr-check.c:1346): Dirty tracking is OFF. Memory snapshot will not work.",
      "Looks good but some kernel features are missing",
    ].join("\n");
    expect(parseCriuCheck(output, 0)).toEqual({
      passed: true,
      remarks: ["Dirty tracking is OFF. Memory snapshot will not work."],
    });
  });

  it("fails with CRIU's reason", () => {
    const output = "(00.1) Error (criu/vdso.c:1): vdso: Unexpected rt vDSO area bounds\n";
    expect(parseCriuCheck(output, 1)).toEqual({
      passed: false,
      remarks: ["vdso: Unexpected rt vDSO area bounds"],
    });
  });
});

it("a program that is not there is told as that", async () => {
  await expect(readCriuVersion("/no/such/criu")).rejects.toMatchObject({
    code: "failed_precondition",
    message: "there is no program /no/such/criu",
  });
});
