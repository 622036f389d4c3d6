import { describe, expect, it } from "vitest";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type { Team, TeamId, TeamLimits } from "../fleet/team.js";
import { createUsage } from "./usage.js";

const id = "team1" as TeamId;
const team = (limits: TeamLimits): Team => ({ id, name: "red", limits, createdAt: new Date(0) });
const sandbox = (cpus: number, status: "running" | "paused") =>
  ({
    team: id,
    cpus,
    memoryBytes: 100,
    state: status === "running" ? { status } : { status, keepsMemory: true },
  }) as unknown as OwnedSandbox;

describe("a team's usage", () => {
  it("has room up to the limit exactly, shares of cpus too, and names the numbers beyond it", () => {
    const usage = createUsage();
    const red = team({ cpus: 0.3 });
    usage.reserve(red, { cpus: 0.1 });
    using second = usage.reserve(red, { cpus: 0.2 });
    expect(() => usage.reserve(red, { cpus: 0.01 })).toThrow(/may have 0.3 cpus; it has 0.3, and 0.01 more/);
    second[Symbol.dispose]();
    usage.reserve(red, { cpus: 0.2 });
    expect(usage.of(id).cpus).toBe(0.3);
  });

  it("counts what runs once, and not what is paused or gone", () => {
    const usage = createUsage();
    usage.changed("a", sandbox(0.5, "running"));
    usage.changed("a", sandbox(0.5, "running"));
    usage.changed("b", sandbox(1, "running"));
    expect(usage.of(id)).toEqual({ sandboxes: 2, cpus: 1.5, memoryBytes: 200, forksInFlight: 0 });
    usage.changed("b", sandbox(1, "paused"));
    usage.changed("a", undefined);
    expect(usage.of(id)).toEqual({ sandboxes: 0, cpus: 0, memoryBytes: 0, forksInFlight: 0 });
  });

  it("is given back once, however often that is asked for", () => {
    const usage = createUsage();
    const reserved = usage.reserve(team({ sandboxes: 1 }), { sandboxes: 1 });
    reserved[Symbol.dispose]();
    reserved[Symbol.dispose]();
    expect(usage.of(id).sandboxes).toBe(0);
  });
});
