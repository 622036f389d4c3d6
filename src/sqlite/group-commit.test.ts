import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GroupCommit, openGroupCommit } from "./group-commit.js";
import { openDatabase } from "./open-database.js";

let db: Database.Database;
let group: GroupCommit;
beforeEach(() => {
  db = new Database(":memory:");
  db.exec("CREATE TABLE t (n INTEGER PRIMARY KEY, filler BLOB)");
  group = openGroupCommit(db);
});
afterEach(() => db.close());

const insert =
  (n: number, bytes = 0) =>
  () => {
    db.prepare("INSERT INTO t VALUES (?, zeroblob(?))").run(n, bytes);
    return n;
  };
const rows = () => db.prepare("SELECT n FROM t ORDER BY n").pluck().all();
const outcomes = (all: readonly Promise<number>[]) =>
  Promise.allSettled(all).then((settled) => settled.map(({ status }) => status));

describe("group commit", () => {
  it("takes back what one work did, and keeps the others'", async () => {
    const failing = group.soon(() => {
      insert(2)();
      throw new Error("no");
    });
    const all = [group.soon(insert(1)), failing, group.soon(insert(1)), group.soon(insert(3))];
    expect(await outcomes(all)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
    await expect(all[2]).rejects.toMatchObject({ code: "already_exists" });
    expect(rows()).toEqual([1, 3]);
  });

  it("acknowledges nothing of a transaction that SQLite takes back as a whole", async () => {
    db.pragma("max_page_count = 20");
    const all = [group.soon(insert(1)), group.soon(insert(2, 1_000_000)), group.soon(insert(3))];
    expect(await outcomes(all)).toEqual(["rejected", "rejected", "rejected"]);
    await expect(all[0]).rejects.toMatchObject({ code: "resource_exhausted" });
    expect(rows()).toEqual([]);
    expect(await group.soon(insert(4))).toBe(4);
    expect(rows()).toEqual([4]);
  });

  it("does more than fits one transaction, in order", async () => {
    const all = Array.from({ length: 2500 }, (_, n) => group.soon(insert(n)));
    await all[0];
    expect(rows().length).toBe(1000);
    await Promise.all(all);
    expect(rows().length).toBe(2500);
  });

  it("has what need not wait for the disk in the same transaction, in order", async () => {
    const told: string[] = [];
    const all = [
      group.soon(insert(1)).then(() => void told.push("durable")),
      group.next(insert(2)).then(() => void told.push("next")),
      expect(group.next(insert(1))).rejects.toMatchObject({ code: "already_exists" }),
    ];
    await Promise.all(all);
    expect(rows()).toEqual([1, 2]);
    expect(told).toEqual(["next", "durable"]);
  });

  it("makes one transaction of what comes while the disk is waited for, once that is over", async () => {
    const waits: (() => void)[] = [];
    const flush = () => new Promise<void>((resolve) => void waits.push(resolve));
    const slow = openGroupCommit(db, { flush, close: async () => {} });
    const first = slow.soon(insert(1));
    await nextTurn();
    const others = [slow.soon(insert(2))];
    await nextTurn();
    others.push(slow.soon(insert(3)));
    await slow.next(insert(4));
    expect(rows()).toEqual([1, 4]);
    waits.shift()?.();
    await first;
    await nextTurn();
    expect(rows()).toEqual([1, 2, 3, 4]);
    expect(waits.length).toBe(1);
    waits.shift()?.();
    expect(await Promise.all(others)).toEqual([2, 3]);
  });

  it("commits what waits when it is flushed, and says when it is too late", async () => {
    const waiting = group.soon(insert(1));
    group.flush();
    expect(rows()).toEqual([1]);
    expect(await waiting).toBe(1);
    db.close();
    await expect(group.soon(insert(2))).rejects.toMatchObject({ code: "unavailable" });
  });
});

it("waits for one log, the same for as long as the database is open", async () => {
  const dir = mkdtempSync(join(tmpdir(), "ramet-group-"));
  const path = join(dir, "a.db");
  const log = () => statSync(`${path}-wal`);
  const file = openDatabase(
    path,
    { migrations: [{ version: 1, sql: "CREATE TABLE t (b BLOB)" }] },
    (opened) => opened,
  );
  const onDisk = openGroupCommit(file);
  try {
    const { ino } = log();
    // Twice what SQLite lets the log grow to before it begins it anew.
    for (let n = 0; n < 8; n++)
      await onDisk.soon(() => void file.prepare("INSERT INTO t VALUES (zeroblob(1048576))").run());
    expect(log().size).toBeLessThan(6 << 20);
    expect(log().ino).toBe(ino);
  } finally {
    const closed = onDisk.close();
    file.close();
    await closed;
    rmSync(dir, { recursive: true });
  }
});
