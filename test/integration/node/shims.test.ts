/** Sandboxes share shims: few of them, gone with their last use, and what it takes with it when one dies. */
import { expect, it } from "vitest";
import { waitUntil } from "../../../src/lib/signal.js";
import { openBox, soon } from "../../support/box.js";
import { killShim, killShims, shimsOf } from "../../support/leaks.js";

const box = openBox("shims");

const shims = () => shimsOf(box.holder.namespace);
/** One that is told to end takes its time on a busy machine. */
const shimsBecome = async (count: number) =>
  void (await waitUntil(
    `${count} shims`,
    async () => (shims().length === count ? true : undefined),
    { intervalMs: 20, timeoutMs: 60_000 },
    soon(),
  ));
const statusOf = async (ref: string) => (await box.node.sandboxes.get(ref)).state.status;
const becomesStopped = (ref: string) =>
  waitUntil(
    `the end of ${ref}`,
    async () => ((await statusOf(ref)) === "stopped" ? true : undefined),
    { intervalMs: 20, timeoutMs: 20_000 },
    soon(),
  );

it("twenty sandboxes need two, and afterwards one stands ready", async () => {
  await shimsBecome(1);
  const source = await box.create();
  const clones = await box.fork(source.id, { count: 19 });
  expect(clones).toHaveLength(19);
  // 12 of 32 places are free. A slow machine may have begun with a third while the second was on its way.
  expect([2, 3]).toContain(shims().length);
  for (const { id } of [source, ...clones]) await box.node.sandboxes.delete(id, { force: true }, soon());
  await shimsBecome(1);
});

it("an agent that is let go of leaves those that have sandboxes, and its next start joins them", async () => {
  const { id } = await box.create();
  await shimsBecome(1);
  const before = shims();
  await box.test.restart(() => shimsBecome(1));
  const second = await box.create();
  expect(shims()).toEqual(before);
  for (const ref of [id, second.id]) await box.node.sandboxes.delete(ref, { force: true }, soon());
  await box.test.restart(() => shimsBecome(0));
});

it("one that is killed ends its sandboxes and nothing else, and new ones come up", async () => {
  const held = await box.holdings();
  const paused = await box.create();
  await box.sh(paused.id, "echo kept > /tmp/state");
  await box.node.sandboxes.pause(paused.id, soon());
  const ids = [(await box.create()).id, (await box.create()).id];
  for (const id of ids) {
    await box.sh(id, "echo kept > /var/state");
    await box.start(id, ["sleep", "1000"]);
  }
  const [shim] = shims();
  if (shim === undefined) throw new Error("no shim");
  await killShim(box.holder.namespace, shim);
  for (const id of ids) {
    await becomesStopped(id);
    expect((await box.node.sandboxes.get(id)).state).toMatchObject({ exitCode: 137 });
  }
  const fresh = await box.create();
  expect(await box.sh(fresh.id, "echo on")).toBe("on");
  await box.node.sandboxes.resume(paused.id, soon());
  expect(await box.sh(paused.id, "cat /tmp/state")).toBe("kept");
  for (const id of [...ids, fresh.id, paused.id])
    await box.node.sandboxes.delete(id, { force: true }, soon());
  await box.expectNoLeak(held);
});

it("one that dies while no agent runs is noticed by the next", async () => {
  const held = await box.holdings();
  const { id } = await box.create();
  await box.start(id, ["sleep", "1000"]);
  await box.test.restart(() => killShims(box.holder.namespace));
  await becomesStopped(id);
  expect(await box.sh((await box.create({ name: "next" })).id, "echo on")).toBe("on");
  for (const ref of [id, "next"]) await box.node.sandboxes.delete(ref, { force: true }, soon());
  await box.expectNoLeak(held);
});
