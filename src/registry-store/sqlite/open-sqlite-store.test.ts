import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { aSandbox, furnish } from "../../../test/contract/registry-records.js";
import { registryStoreContract } from "../../../test/contract/registry-store.js";
import { openSqliteStore } from "./open-sqlite-store.js";

function makeDirectory() {
  return mkdtempSync(join(tmpdir(), "ramet-registry-store-"));
}

registryStoreContract("SQLite", async () => {
  const directory = makeDirectory();
  return {
    open: () => openSqliteStore(join(directory, "registry.db")),
    [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true }),
  };
});

describe("the file", () => {
  let directory = "";
  let path = "";
  beforeEach(() => {
    directory = makeDirectory();
    path = join(directory, "registry.db");
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("is private", async () => {
    await using store = await openSqliteStore(path);
    await furnish(store);
    const files = readdirSync(directory);
    expect(files).toContain("registry.db-wal");
    for (const file of files) expect(statSync(join(directory, file)).mode & 0o777, file).toBe(0o600);
  });

  it("tells an unreadable row apart from a missing one, and answers for the others", async () => {
    {
      await using store = await openSqliteStore(path);
      await furnish(store);
      await store.sandboxes.insert([aSandbox("good"), aSandbox("bad")]);
    }
    const db = new Database(path);
    db.prepare("UPDATE sandboxes SET state = ? WHERE id = 'bad'").run('{"status":"flying"}');
    db.close();
    await using store = await openSqliteStore(path);
    await expect(store.sandboxes.get("bad")).rejects.toMatchObject({
      code: "internal",
      message: expect.stringContaining("unreadable row in sandboxes"),
    });
    expect(await store.sandboxes.get("good")).toEqual(aSandbox("good"));
  });
});
