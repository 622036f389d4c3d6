import { describe, expect, it } from "vitest";
import { runProgram } from "./run-program.js";

const within = { timeoutMs: 10_000 };

describe("a program", () => {
  it("gives its output and exit code", async () => {
    const run = await runProgram("sh", ["-c", 'echo "$A"; echo first >&2; echo last >&2; exit 3'], {
      ...within,
      env: { A: "1" },
    });
    expect(run).toEqual({
      exitCode: 3,
      stdout: "1",
      stderr: "first\nlast",
      complaint: "last",
      isMissing: false,
    });
  });

  it("that is not there is told like one that fails", async () => {
    const run = await runProgram("/no/such/program", [], within);
    expect(run).toMatchObject({
      exitCode: undefined,
      complaint: expect.stringContaining("ENOENT"),
      isMissing: true,
    });
  });

  it("is ended after its time, and when aborted", async () => {
    expect((await runProgram("sleep", ["100"], { timeoutMs: 50 })).exitCode).toBeUndefined();
    const controller = new AbortController();
    const running = runProgram("sleep", ["100"], within, controller.signal);
    controller.abort();
    await expect(running).rejects.toThrow(/abort/);
  });

  it("that is not there does not end us when aborted at once", async () => {
    const controller = new AbortController();
    await Promise.resolve();
    const running = runProgram("/no/such/program", [], within, controller.signal);
    controller.abort();
    await expect(running).rejects.toThrow(/abort/);
    await expect(runProgram("true", [], within, AbortSignal.abort())).rejects.toThrow(/abort/);
  });
});
