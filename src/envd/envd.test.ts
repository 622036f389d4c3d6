import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { Filesystem } from "../gen/e2b/filesystem_pb.js";
import { Process } from "../gen/e2b/process_pb.js";
import { permissionsOf } from "./entry.js";
import { endEvent } from "./exit-status.js";
import { metadataOf } from "./metadata.js";
import { userOf } from "./user.js";

const doc = readFileSync(new URL("../../docs/e2b-compatibility.md", import.meta.url), "utf8");

it.each([Process, Filesystem])("has each call of $typeName in its description", ({ typeName, methods }) => {
  const [, listed = ""] = new RegExp(`\`${typeName}\` \\(([^)]*)\\)`).exec(doc) ?? [];
  expect(listed.split(", ").sort()).toEqual(methods.map(({ name }) => name).sort());
});

it("shows permissions as Go does", () => {
  expect(permissionsOf({ type: "regular", mode: 0o644 })).toBe("-rw-r--r--");
  expect(permissionsOf({ type: "directory", mode: 0o1777 })).toBe("dtrwxrwxrwx");
  expect(permissionsOf({ type: "symlink", mode: 0o777 })).toBe("Lrwxrwxrwx");
  expect(permissionsOf({ type: "regular", mode: 0o6755 })).toBe("ugrwxr-xr-x");
});

it("tells how a process ended as Go does", () => {
  expect(endEvent({ kind: "code", code: 0 })).toEqual({ exitCode: 0, exited: true, status: "exit status 0" });
  expect(endEvent({ kind: "code", code: 3 })).toMatchObject({ exitCode: 3, error: "exit status 3" });
  expect(endEvent({ kind: "signal", signal: 9 })).toEqual({
    ...{ exitCode: -1, exited: false, status: "signal: killed", error: "signal: killed" },
  });
  expect(endEvent({ kind: "signal", signal: 40 })).toMatchObject({ status: "signal: signal 40" });
});

it("takes the user of basic authentication, and no other", () => {
  const basic = (text: string) => userOf(`Basic ${Buffer.from(text).toString("base64")}`);
  expect(basic("root:")).toBe("root");
  expect(basic("root:x")).toBe("root");
  expect(basic("")).toBeUndefined();
  expect(userOf("Bearer abc")).toBeUndefined();
  expect(userOf(undefined)).toBeUndefined();
  expect(() => basic("x".repeat(300))).toThrow("cannot be a user's name");
});

it("reads what is attached to a file", () => {
  expect(metadataOf({ "x-metadata-a": "1", "x-metadata-b": "2 3", other: "x" })).toEqual({
    a: "1",
    b: "2 3",
  });
  for (const headers of [
    { "x-metadata-": "x" },
    { [`x-metadata-${"k".repeat(247)}`]: "x" },
    { "x-metadata-k": "ä" },
    { "x-metadata-k": "x".repeat(4096) },
  ])
    expect(() => metadataOf(headers)).toThrow();
});
