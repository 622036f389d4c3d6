import { describe, expect, it } from "vitest";
import { measureMemory } from "./memory.js";
import { simulate } from "./simulation.js";

describe("a simulated fleet", () => {
  it("comes to rest with one owner for each sandbox, whatever is lost and returns", {
    timeout: 60_000,
  }, () => {
    const simulation = simulate({ nodes: 50, sandboxes: 5_000, seconds: 90, seed: 1 });
    const { counts, records } = simulation.registry;
    expect(simulation.violations).toEqual([]);
    // All of it has been put to the test.
    expect(Object.entries(counts).filter(([, count]) => count === 0)).toEqual([]);
    expect(counts.slots / counts.claims).toBeGreaterThan(0.5);
    expect(records.size).toBeGreaterThan(2_000);
    const { perSandbox, perNode } = measureMemory(simulation);
    expect(perSandbox).toBeLessThan(2 * 1024);
    expect(perNode).toBeLessThan(64 * 1024);
  });
});
