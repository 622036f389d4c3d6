/** The memory for warm slots, where a template's own is larger than all of it. */
import { expect, it } from "vitest";
import { becomes, openBox } from "../../support/box.js";

const budgetMiB = 16;
const box = openBox("budget", { slots: { memory_mib: budgetMiB } });

const hold = "import os, time; b = os.urandom(64 << 20); open('/tmp/ok', 'w').write('1'); time.sleep(9999)";
const slotsOf = async (template: string) => (await box.node.templates.get(template)).slots;

it("has room for slots that share more than it, and is never exceeded", async () => {
  await box.buildTemplate({
    name: "large",
    startCommand: `exec python3 -c "${hold}"`,
    readyCommand: "test -s /tmp/ok",
  });
  await box.node.templates.setSlots("large", { min: 30, max: 30 });
  const most: number[] = [];
  await becomes(
    "used up",
    async () => {
      const { memoryBytes, problem } = await slotsOf("large");
      most.push(memoryBytes);
      return problem !== undefined;
    },
    60_000,
  );
  const { ready, memoryBytes } = await slotsOf("large");
  expect(ready).toBeGreaterThanOrEqual(3);
  expect(ready).toBeLessThan(30);
  expect(Math.max(...most, memoryBytes)).toBeLessThanOrEqual(budgetMiB * 2 ** 20);
  // What is left is less than one more takes.
  expect(memoryBytes + memoryBytes / ready).toBeGreaterThan(0.95 * budgetMiB * 2 ** 20);
  await box.node.templates.setSlots("large", { min: 0, max: 0 });
  await becomes("none is left", async () => (await slotsOf("large")).ready === 0);
});
