import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { migrate, readMigrations } from "./migrate.js";

describe("migrate", () => {
  it("applies only the migrations that are missing, all or none", () => {
    const db = new Database(":memory:");
    const one = { version: 1, sql: "CREATE TABLE a (x)" };
    migrate(db, "db", [one]);
    migrate(db, "db", [one, { version: 2, sql: "ALTER TABLE a ADD y" }]);
    expect(db.pragma("user_version", { simple: true })).toBe(2);
    const broken = [one, one, { version: 3, sql: "CREATE TABLE b (x); nonsense" }];
    expect(() => migrate(db, "db", broken)).toThrow();
    expect(db.pragma("user_version", { simple: true })).toBe(2);
    expect(db.prepare("SELECT name FROM sqlite_schema").pluck().all()).toEqual(["a"]);
    db.close();
  });
});

describe("readMigrations", () => {
  let dir = "";
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "ramet-migrations-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it("reads them in order, and refuses gaps", () => {
    const directory = pathToFileURL(`${dir}/`);
    writeFileSync(join(dir, "0002-b.sql"), "two");
    expect(() => readMigrations(directory)).toThrow("0002-b.sql is out of place");
    writeFileSync(join(dir, "0001-a.sql"), "one");
    expect(readMigrations(directory)).toEqual([
      { version: 1, sql: "one" },
      { version: 2, sql: "two" },
    ]);
  });
});
