import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Containerd } from "../../../src/containerd/client.js";
import type { ImageProgress } from "../../../src/containerd/transfer.js";
import { collectGarbage, connectForTest, emptyNamespace, inventory } from "../../support/containerd.js";
import { ociLayout } from "../../support/oci-archive.js";
import { serveRegistry } from "../../support/registry.js";

let containerd: Containerd;
beforeAll(async () => {
  containerd = await connectForTest("ramet-pull-test");
});
afterEach(() => emptyNamespace(containerd));
afterAll(() => containerd.close());

test("pulls an image over plain HTTP, unpacked and safe from the garbage collector", async () => {
  const layout = await ociLayout({ config: { Env: ["A=b"] } });
  await using registry = await serveRegistry({ image: layout, tag: "1" });
  const progress: ImageProgress[] = [];
  const reference = `${registry.host}/team/tiny:1`;
  const image = await containerd.pull({ reference, plainHttp: true, onProgress: (it) => progress.push(it) });
  expect(image).toMatchObject({
    name: reference,
    digest: layout.manifestDigest,
    config: { env: { A: "b" } },
  });
  expect(progress.at(-1)).toEqual({ phase: "done", doneBytes: image.sizeBytes, totalBytes: image.sizeBytes });
  await collectGarbage(containerd);
  const { topSnapshot } = await containerd.images.resolve(reference);
  expect(await containerd.snapshots.stat(topSnapshot)).toMatchObject({ kind: "committed" });
  expect(await containerd.leases.list([])).toEqual([]);
});

test("gives credentials when the registry asks for them", async () => {
  const layout = await ociLayout();
  await using registry = await serveRegistry({ image: layout, tag: "1", login: "somebody:opensesame" });
  const reference = `${registry.host}/tiny:1`;
  const credentials = { username: "somebody", secret: "opensesame" };
  const image = await containerd.pull({ reference, plainHttp: true, credentials });
  expect(image.digest).toBe(layout.manifestDigest);
});

test("a wrong secret is refused, and is not in the error", async () => {
  const layout = await ociLayout();
  await using registry = await serveRegistry({ image: layout, tag: "1", login: "somebody:opensesame" });
  const reference = `${registry.host}/tiny:1`;
  const credentials = { username: "somebody", secret: "wrong-secret" };
  const refused = containerd.pull({ reference, plainHttp: true, credentials });
  const error = await refused.then(
    () => undefined,
    (err: unknown) => err,
  );
  expect(error).toMatchObject({ code: "failed_precondition", message: expect.stringContaining(reference) });
  expect(JSON.stringify(error) + String(error)).not.toContain("wrong-secret");
  expect(await inventory(containerd)).toMatchObject({ images: [], blobs: [], leases: [] });
});

test("an unknown tag is not_found", async () => {
  await using registry = await serveRegistry({ image: await ociLayout(), tag: "1" });
  const refused = containerd.pull({ reference: `${registry.host}/tiny:2`, plainHttp: true });
  await expect(refused).rejects.toMatchObject({ code: "not_found" });
});

test("a registry that lacks a layer, or is not there, leaves nothing behind", async () => {
  const image = await ociLayout();
  let reference: string;
  {
    await using registry = await serveRegistry({ image, tag: "1", missing: image.layerDigest });
    reference = `${registry.host}/tiny:1`;
    await expect(containerd.pull({ reference, plainHttp: true })).rejects.toMatchObject({
      code: "not_found",
    });
  }
  const gone = containerd.pull({ reference, plainHttp: true });
  await expect(gone).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining(reference),
  });
  expect(await inventory(containerd)).toMatchObject({ images: [], blobs: [], snapshots: [], leases: [] });
});
