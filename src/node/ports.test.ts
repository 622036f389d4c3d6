import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { connectionsMax, openPorts, type PortDeps } from "./ports.js";

const never = new AbortController().signal;

/** Sandboxes that run; what is dialled is a stream of nothing, or fails. */
function portsOf(dial: () => Promise<PassThrough>) {
  const find = (id: string) => ({ id, state: { status: "running", pid: 1, since: new Date() } });
  return openPorts({ store: { sandboxes: { find } }, guests: { call: dial } } as unknown as PortDeps);
}

it("leaves room in the guest for what is not a port's", async () => {
  const ports = portsOf(async () => new PassThrough());
  const dialled = Array.from({ length: connectionsMax }, () => ports.dial("a", 80, never));
  const [first] = await Promise.all(dialled);
  await expect(ports.dial("a", 81, never)).rejects.toMatchObject({ code: "resource_exhausted" });
  await ports.dial("b", 80, never);
  const closed = new Promise((resolve) => first?.once("close", resolve));
  first?.destroy();
  await closed;
  await ports.dial("a", 81, never);
  await expect(ports.dial("a", 81, never)).rejects.toMatchObject({ code: "resource_exhausted" });
});

it("does not count what could not be reached", async () => {
  const ports = portsOf(async () => {
    throw new Error("refused");
  });
  for (let count = 0; count <= connectionsMax; count++)
    await expect(ports.dial("a", 80, never)).rejects.toThrow("refused");
});
