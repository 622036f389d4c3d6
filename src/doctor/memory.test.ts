import { expect, it } from "vitest";
import { judgeMappings, parseMappings, sandboxOf } from "./memory.js";

const maps = `
7f0000000000-7f0000004000 rw-p 00002000 fe:00 12   /.ramet/memory/c1-9
7f0000010000-7f0000011000 r--p 00000000 fe:00 13   /.ramet/memory/c2-9 (deleted)
7f0000020000-7f0000021000 r-xp 00000000 fe:00 14   /.ramet/guest
7f0000030000-7f0000031000 rw-p 00000000 00:00 0
`;

it("finds mappings of memory files", () => {
  expect(parseMappings(7, maps)).toEqual([
    { pid: 7, name: "c1-9", isDeleted: false, end: 0x6000 },
    { pid: 7, name: "c2-9", isDeleted: true, end: 0x1000 },
  ]);
});

it.each([
  ["4:memory:/ramet/a1b2\n1:name=systemd:/ramet/a1b2\n", "a1b2"],
  ["0::/ramet/a1b2/inner\n", "a1b2"],
  ["0::/user.slice\n", undefined],
  ["", undefined],
])("finds the sandbox of a process in %j", (membership, sandbox) => {
  expect(sandboxOf(membership)).toBe(sandbox);
});

const mapping = { pid: 7, sandbox: "a1b2", name: "c1-9", isDeleted: false, end: 8192, fileBytes: 8192 };

it.each([
  ["all of it", {}, undefined],
  ["more than it", { fileBytes: 12_288 }, undefined],
  ["one that cannot be looked at", { fileBytes: undefined }, undefined],
  ["a shortened one", { fileBytes: 4096 }, /shortened.*: c1-9/],
  ["a removed one", { isDeleted: true, fileBytes: undefined }, /removed.*: c1-9/],
] as const)("judges a file of which there is %s", (_what, change, detail) => {
  const judged = judgeMappings([{ ...mapping, ...change }]);
  if (detail === undefined) expect(judged).toBeUndefined();
  else
    expect(judged).toMatchObject({
      status: "failure",
      detail: expect.stringMatching(detail),
      fix: expect.stringContaining("these sandboxes: a1b2"),
    });
});
