import { expect, test } from "vitest";
import { connectContainerd } from "../../../src/containerd/client.js";
import { connectForTest } from "../../support/containerd.js";

test("says its version", async () => {
  const containerd = await connectForTest("ramet-client-test");
  expect((await containerd.version()).version).toMatch(/^\d+\.\d+\.\d+/);
  containerd.close();
});

test("nobody at the address is unavailable, with a hint", async () => {
  const refused = connectContainerd({ address: "/run/nobody-listens-here.sock", namespace: "x" });
  await expect(refused).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("cannot reach containerd at /run/nobody-listens-here.sock"),
    hint: expect.stringContaining("containerd"),
  });
});

test("an aborted signal is a cancelled call", async () => {
  const containerd = await connectForTest("ramet-client-test");
  await expect(containerd.tasks.list(AbortSignal.abort())).rejects.toMatchObject({ code: "cancelled" });
  containerd.close();
});

test("what fails under a lease leaves the lease nowhere", async () => {
  const containerd = await connectForTest("ramet-client-test");
  const failing = containerd.withLease(async ({ leases }) => {
    expect(await leases.list([])).toHaveLength(1);
    throw new Error("on purpose");
  });
  await expect(failing).rejects.toThrow("on purpose");
  expect(await containerd.leases.list([])).toEqual([]);
  containerd.close();
});
