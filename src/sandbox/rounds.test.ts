import { expect, it } from "vitest";
import type { Step } from "./recovery-step.js";
import { planRounds } from "./rounds.js";
import type { SandboxId } from "./sandbox.js";

const adopt = (id: string): Step => ({ action: "adopt", id: id as SandboxId, pid: 1, pidStart: "a" });
const removeDirectory = (id: string): Step => ({ action: "removeOrphanDirectory", id });
const removeCheckpoint = (id: string): Step => ({ action: "removeUnusedCheckpoint", id });
const removeSnapshot = (key: string): Step => ({ action: "removeOrphanSnapshot", key });
const drop = (id: string): Step => ({ action: "dropOperation", id });

it.each([
  { case: "nothing into no round", steps: [], rounds: [] },
  {
    case: "different sandboxes into one round",
    steps: [adopt("a"), adopt("b"), removeDirectory("c")],
    rounds: [[adopt("a"), adopt("b"), removeDirectory("c")]],
  },
  {
    case: "what stands on another one by one",
    steps: [
      ...[adopt("a"), removeCheckpoint("c2"), removeCheckpoint("c1")],
      ...[removeSnapshot("s2"), removeSnapshot("s1"), removeDirectory("d"), removeDirectory("e")],
    ],
    rounds: [
      [adopt("a")],
      [removeCheckpoint("c2")],
      [removeCheckpoint("c1")],
      [removeSnapshot("s2")],
      [removeSnapshot("s1")],
      [removeDirectory("d"), removeDirectory("e")],
    ],
  },
  {
    case: "the journal behind everything else",
    steps: [adopt("a"), removeDirectory("b"), drop("1"), drop("2")],
    rounds: [
      [adopt("a"), removeDirectory("b")],
      [drop("1"), drop("2")],
    ],
  },
])("puts $case", ({ steps, rounds }) => {
  expect(planRounds(steps)).toEqual(rounds);
});
