import { afterEach, expect, it, vi } from "vitest";
import { DomainError } from "../lib/errors.js";
import type { FileInfo } from "../node/files.js";
import type { EnvdNode } from "./deps.js";
import { entriesOf } from "./entry.js";

const warned = vi.fn();
process.on("warning", warned);
afterEach(() => {
  process.off("warning", warned);
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

function fileNamed(name: string): FileInfo {
  const whose = { uid: 0, gid: 0, owner: "root", group: "root" };
  return {
    ...whose,
    name,
    path: `/d/${name}`,
    type: "regular",
    sizeBytes: 1,
    mode: 0o644,
    modifiedAt: new Date(0),
  };
}

it("lists many files in order, a few at a time, and without those that are gone", async () => {
  let [looking, most] = [0, 0];
  const attributes = async (ref: { readonly path: string }) => {
    most = Math.max(most, ++looking);
    await turn();
    looking--;
    if (ref.path === "/d/7") throw new DomainError("not_found", "gone");
    return { of: ref.path };
  };
  const node = { files: { attributes } } as unknown as EnvdNode;
  const files = Array.from({ length: 40 }, (_, index) => fileNamed(String(index)));
  const entries = await entriesOf(node, { sandbox: "a", path: "/d" }, files, new AbortController().signal);
  expect(entries.map(({ name }) => name)).toEqual(
    files.map(({ name }) => name).filter((name) => name !== "7"),
  );
  expect(entries[0]?.metadata).toEqual({ of: "/d/0" });
  expect(most).toBe(6);
  await turn();
  // Node counts who listens to one signal, and fills the log.
  expect(warned).not.toHaveBeenCalled();
});
