import { describe, expect, it } from "vitest";
import { mayBecome, type SandboxState, type SandboxStatus, sandboxStatuses, transition } from "./state.js";

const since = new Date("2026-01-02T03:04:05Z");

/** Every move there is, as people read it. */
const moves: Record<SandboxStatus, string> = {
  creating: "running failed stopping",
  running: "checkpointing pausing paused stopping stopped failed",
  checkpointing: "running stopping stopped failed",
  pausing: "paused running stopped failed",
  paused: "resuming stopping failed",
  resuming: "running paused failed",
  stopping: "stopped failed",
  stopped: "",
  failed: "",
};

describe("sandbox states", () => {
  const pairs = sandboxStatuses.flatMap((from) => sandboxStatuses.map((to) => [from, to] as const));
  it.each(pairs)("%s to %s", (from, to) => {
    expect(mayBecome(from, to)).toBe(moves[from].split(" ").includes(to));
  });

  it("gives the new state, or says what is in the way", () => {
    const running: SandboxState = { status: "running", since, pid: 1, pidStart: "x" };
    const stopped: SandboxState = { status: "stopped", since, exitCode: 0 };
    expect(transition(running, stopped)).toBe(stopped);
    expect(() => transition(stopped, running)).toThrow(
      expect.objectContaining({
        code: "failed_precondition",
        message: "sandbox is stopped, cannot become running",
      }),
    );
  });

  it("lets anything that is not at its end fail", () => {
    const last = ["stopped", "failed"];
    for (const status of sandboxStatuses.filter((s) => !last.includes(s))) {
      expect(mayBecome(status, "failed"), status).toBe(true);
    }
  });
});
