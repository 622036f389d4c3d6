import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openAdminKey } from "./admin-key.js";

let directory = "";
let path = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ramet-admin-key-"));
  path = join(directory, "admin.key");
});
afterEach(() => rmSync(directory, { recursive: true }));

describe("the admin key", () => {
  it("is made at the first start, for its owner alone, and stays", async () => {
    await openAdminKey(path);
    const key = readFileSync(path, "utf8").trim();
    expect(key).toMatch(/^rma_[0-9a-f]{40}$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const isAdmin = await openAdminKey(path);
    expect(readFileSync(path, "utf8").trim()).toBe(key);
    expect(isAdmin(`Bearer ${key}`)).toBe(true);
    for (const other of [
      undefined,
      "",
      key,
      `bearer ${key}`,
      `Bearer ${key} `,
      `Bearer ${key.slice(0, -1)}0x`,
    ])
      expect(isAdmin(other), String(other)).toBe(false);
  });

  it("is refused when others may read it, or when the file holds something else", async () => {
    await openAdminKey(path);
    chmodSync(path, 0o640);
    await expect(openAdminKey(path)).rejects.toMatchObject({ code: "failed_precondition" });
    writeFileSync(path, "secret", { mode: 0o600 });
    chmodSync(path, 0o600);
    await expect(openAdminKey(path)).rejects.toThrow("holds no admin key");
    expect(readFileSync(path, "utf8")).toBe("secret");
  });
});
