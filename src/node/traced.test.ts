import { describe, expect, it } from "vitest";
import { parseTracing, refuseTraced } from "./traced.js";

const status = (tracer: number) =>
  `Name:\tpython3\nState:\tt (tracing stop)\nPid:\t4711\nTracerPid:\t${tracer}\nNSpid:\t4711\t16\nThreads:\t1\n`;

describe("tracing", () => {
  it("is read from a status, with the pid that the sandbox knows", () => {
    expect(parseTracing(status(4710))).toEqual({ pid: "16", name: "python3", tracer: 4710 });
    expect(parseTracing(status(0))).toBeUndefined();
    expect(parseTracing("")).toBeUndefined();
    expect(parseTracing("TracerPid:\t1\n")).toEqual({ pid: "?", name: "?", tracer: 1 });
  });

  it("lets processes pass that nobody traces, or that are gone", async () => {
    await refuseTraced({ pids: async () => [process.pid, 4_194_305] }, "s1");
  });
});
