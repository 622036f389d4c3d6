/** The helper that looks for leaks finds them. */
import { mkdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { connectContainerd } from "../../../src/containerd/client.js";
import { becomes, openBox } from "../../support/box.js";
import { testRuntime } from "../../support/containerd.js";
import { added } from "../../support/leaks.js";

const box = openBox("leaks");

it("names everything that a running sandbox holds", async () => {
  const before = await box.holdings();
  const { id } = await box.create();
  const held = added(before, await box.holdings());
  expect(held).toMatchObject({
    ...{
      snapshots: [`sandbox-${id}`],
      containers: [id],
      tasks: [id],
      bundles: [id],
      runc: [id],
    },
    ...{ sandboxDirectories: [id] },
  });
  expect(held["mounts"]?.join()).toContain(`${id}/rootfs`);
  expect(held["cgroups"]?.join()).toContain(`/ramet/${id}`);
});

it("names a lease, a directory and a socket", async () => {
  const before = await box.holdings();
  const [directory, socket] = [
    join(box.test.dataDir, "checkpoints/x.partial"),
    join(box.test.dataDir, "left.sock"),
  ];
  const { address } = testRuntime();
  const containerd = await connectContainerd({ address, namespace: box.holder.namespace });
  await containerd.leases.create({ id: "left", expiresAt: new Date(Date.now() + 60_000) });
  mkdirSync(directory);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const held = added(before, await box.holdings());
  expect(held).toEqual({ leases: ["left"], checkpointDirectories: ["x.partial"], listening: [socket] });
  await containerd.leases.delete("left", { sync: true });
  containerd.close();
  rmSync(directory, { recursive: true });
  await new Promise((resolve) => server.close(resolve));
  await becomes("as before", async () => Object.keys(added(before, await box.holdings())).length === 0);
});
