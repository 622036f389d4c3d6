/** The memory for warm slots, where a template's own is larger than all of it. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { becomes, openBox } from "../../support/box.js";

const budgetMiB = 16;
const box = openBox("budget", { slots: { memory_mib: budgetMiB } });

const hold = "import os, time; b = os.urandom(64 << 20); open('/tmp/ok', 'w').write('1'); time.sleep(9999)";
const slotsOf = async (template: string) => (await box.node.templates.get(template)).slots;

/** More slots than there is room for. */
async function askForMany(): Promise<void> {
  await box.buildTemplate({
    name: "large",
    startCommand: `exec python3 -c "${hold}"`,
    readyCommand: "test -s /tmp/ok",
  });
  await box.node.templates.setSlots("large", { min: 30, max: 30 });
}

it("has room for slots that share more than it, and is never exceeded", async () => {
  await askForMany();
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

it("is used by slots that cannot be ended until they are, and has room again then", async () => {
  const armed = join(box.test.dataDir, "failpoints");
  await box.test.restart(undefined, `@${armed}`);
  await askForMany();
  await becomes("used up", async () => (await slotsOf("large")).problem !== undefined, 60_000);
  writeFileSync(armed, "delete.recorded=error");
  await box.node.templates.setSlots("large", { min: 0, max: 0 });
  await box.node.templates.setSlots("base", { min: 4, max: 4 });
  await becomes("none can be claimed", async () => (await slotsOf("large")).ready === 0, 30_000);
  await becomes("there is no room", async () => (await slotsOf("base")).problem !== undefined);
  expect((await slotsOf("base")).ready).toBeLessThan(4);
  rmSync(armed);
  await becomes("there is room", async () => (await slotsOf("base")).ready === 4, 60_000);
  await box.node.templates.setSlots("base", { min: 0, max: 0 });
  await becomes("none is left", async () => (await slotsOf("base")).ready === 0);
  await box.test.restart();
});
