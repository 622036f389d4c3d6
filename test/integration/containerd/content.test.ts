import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Containerd } from "../../../src/containerd/client.js";
import { collectGarbage, connectForTest, emptyNamespace } from "../../support/containerd.js";
import { digestOf } from "../../support/oci-archive.js";

let containerd: Containerd;
beforeAll(async () => {
  containerd = await connectForTest("ramet-content-test");
});
afterEach(() => emptyNamespace(containerd));
afterAll(() => containerd.close());

const rooted = { "containerd.io/gc.root": "test" };

test("keeps a large streamed blob byte for byte", async () => {
  const data = Buffer.alloc(5_000_001, "streamed bytes ");
  const digest = digestOf(data);
  async function* pieces() {
    for (let at = 0; at < data.byteLength; at += 700_000) yield data.subarray(at, at + 700_000);
  }
  await containerd.withLease(({ content }) =>
    content.write({ digest, sizeBytes: data.byteLength, labels: rooted, data: pieces() }),
  );
  expect(await containerd.content.info(digest)).toMatchObject({
    digest,
    sizeBytes: data.byteLength,
    labels: rooted,
  });
  expect(data.equals(await containerd.content.readBytes(digest))).toBe(true);
});

test("writing what is there only sets its labels", async () => {
  const data = Buffer.from("twice");
  const digest = digestOf(data);
  const write = (labels: Record<string, string>) =>
    containerd.content.write({ digest, sizeBytes: data.byteLength, labels, data });
  await write(rooted);
  await write({ "ramet.test": "second" });
  expect((await containerd.content.info(digest)).labels).toMatchObject({ ...rooted, "ramet.test": "second" });
  const found = await containerd.content.list(['labels."ramet.test"==second']);
  expect(found.map((blob) => blob.digest)).toEqual([digest]);
});

test("refuses bytes that their digest does not fit", async () => {
  const digest = digestOf(Buffer.from("promised"));
  const write = containerd.content.write({ digest, sizeBytes: 5, data: Buffer.from("other") });
  await expect(write).rejects.toMatchObject({ code: "failed_precondition" });
  await expect(containerd.content.info(digest)).rejects.toMatchObject({ code: "not_found" });
});

test("gives the source's own error when it cannot be read", async () => {
  async function* torn() {
    yield Buffer.from("x");
    throw new Error("the source is gone");
  }
  const digest = digestOf(Buffer.from("xy"));
  await expect(containerd.content.write({ digest, sizeBytes: 2, data: torn() })).rejects.toThrow(
    /the source is gone/,
  );
});

test("what neither a lease nor a label keeps is collected, and deleting it again is fine", async () => {
  const data = Buffer.from("garbage");
  const digest = digestOf(data);
  await containerd.content.write({ digest, sizeBytes: data.byteLength, data });
  await collectGarbage(containerd);
  await expect(containerd.content.info(digest)).rejects.toMatchObject({ code: "not_found" });
  await containerd.content.delete(digest);
});
