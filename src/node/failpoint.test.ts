import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openFailpoint } from "./failpoint.js";

const dir = mkdtempSync(join(tmpdir(), "failpoint-"));
afterAll(() => rmSync(dir, { recursive: true }));

const end = () => {
  throw new Error("ended");
};

describe("a failpoint", () => {
  it("does nothing unless it is armed", () => {
    const pass = openFailpoint("pause.dumped=kill;fork.taken=error", end);
    expect(() => pass("fork.clone")).not.toThrow();
    expect(() => pass("pause.dumped")).toThrow("ended");
    expect(() => pass("fork.taken")).toThrow("failpoint fork.taken");
  });

  it("is armed and disarmed by a file", () => {
    const path = join(dir, "armed");
    const pass = openFailpoint(`@${path}`, end);
    expect(() => pass("pause.dumped")).not.toThrow();
    writeFileSync(path, "pause.dumped=kill");
    expect(() => pass("pause.dumped")).toThrow("ended");
    writeFileSync(path, "");
    expect(() => pass("pause.dumped")).not.toThrow();
  });

  it.each(["nothing=kill", "pause.dumped", "pause.dumped=explode"])("refuses %j", (text) => {
    expect(() => openFailpoint(text, end)).toThrow(/no such failpoint/);
  });
});
