import { describe, expect, it } from "vitest";
import { bytesField, bytesOf, numberField, parseMessage, serializeMessage, textField } from "./message.js";
import { findMount, readFileTable, regularFileEntry } from "./reg-file.js";

const name = "files.img";

describe("files", () => {
  const entry = regularFileEntry({ id: 12, path: "/.ramet-memory/c1-1", bytes: 2 ** 33, mountId: 300 });

  it("are known by id, and what is free is above all of them", () => {
    const pipe = serializeMessage([numberField(1, 2), numberField(2, 40)]);
    expect(readFileTable([entry, pipe], name)).toEqual({
      paths: new Map([[12, "/.ramet-memory/c1-1"]]),
      freeId: 41,
    });
    expect(readFileTable([], name).freeId).toBe(1);
  });

  it("of memory are as CRIU will find them: size, mode, mount", () => {
    const bytes = bytesOf(parseMessage(entry, name), 3, name) ?? Buffer.alloc(0);
    const expected = [
      ...[numberField(1, 12), numberField(2, 0), numberField(3, 0)],
      bytesField(5, serializeMessage([1, 2, 3, 4, 5].map((number) => numberField(number, 0)))),
      textField(6, "/.ramet-memory/c1-1"),
      // A sint32 of 300.
      ...[numberField(7, 600), numberField(8, 2 ** 33), numberField(10, 0o100440)],
    ];
    expect(bytes).toEqual(serializeMessage(expected));
  });

  it("with the highest id there is are refused", () => {
    const last = serializeMessage([numberField(1, 2), numberField(2, 2 ** 31)]);
    expect(() => readFileTable([last], name)).toThrow(/damaged/);
  });
});

describe("the mount of the memory files", () => {
  const mount = (id: number, path: string) => serializeMessage([numberField(2, id), textField(7, path)]);
  const table = (...messages: Buffer[]) => ({ name: "mountpoints-13.img", messages });

  it("is the one at its path, and none without mount namespaces", () => {
    expect(findMount([table(mount(5, "/"), mount(300, "/m"))], "/m")).toBe(300);
    expect(findMount([], "/m")).toBeUndefined();
  });

  it.each([
    ["is missing", [mount(5, "/"), mount(6, "/mm")]],
    ["is there twice", [mount(5, "/m"), mount(6, "/m")]],
  ])("is refused when it %s", (_what, messages) => {
    expect(() => findMount([table(...messages)], "/m")).toThrow(/mounts at \/m/);
  });
});
