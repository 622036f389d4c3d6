import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openFreezer } from "./freezer.js";

let root: string;
const group = () => join(root, "ramet/abc");
const v1 = () => ({ v2: undefined, v1: new Map([["freezer", { mountPoint: root, root: "/" }]]) });
const v2 = () => ({ v2: { mountPoint: root, root: "/" }, v1: new Map() });

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "freezer-"));
  await mkdir(group(), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

// The kernel's part, what happens to the processes, is tested with sandboxes.
describe("a freezer", () => {
  it("of version 1 is turned by its state", async () => {
    await writeFile(join(group(), "freezer.state"), "THAWED\n");
    const freezer = openFreezer(v1());
    expect(await freezer.isFrozen("abc")).toBe(false);
    await freezer.freeze("abc");
    expect(await freezer.isFrozen("abc")).toBe(true);
    await freezer.thaw("abc");
    expect(await freezer.isFrozen("abc")).toBe(false);
  });

  it("of version 2 waits for the kernel's event", async () => {
    await writeFile(join(group(), "cgroup.freeze"), "0");
    await writeFile(join(group(), "cgroup.events"), "populated 1\nfrozen 0\n");
    const freezing = openFreezer(v2()).freeze("abc");
    await expect.poll(() => readFileSync(join(group(), "cgroup.freeze"), "utf8")).toBe("1");
    await writeFile(join(group(), "cgroup.events"), "populated 1\nfrozen 1\n");
    await freezing;
  });

  it.each([v1, v2])("takes a sandbox that is gone for one that needs nothing", async (mounts) => {
    const freezer = openFreezer(mounts());
    expect(await freezer.isFrozen("gone")).toBe(false);
    await freezer.thaw("gone");
    await freezer.kill("gone");
    await expect(freezer.freeze("gone")).rejects.toMatchObject({ code: "failed_precondition" });
  });
});
