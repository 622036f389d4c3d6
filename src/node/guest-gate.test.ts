import { describe, expect, it } from "vitest";
import { DomainError } from "../lib/errors.js";
import { createGate } from "./guest-gate.js";
import type { Guest } from "./guests.js";

const never = new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Of a guest that is quiesced and released at once. */
function testGate() {
  const done: string[] = [];
  const guest = {
    quiesce: async () => done.push("quiesced"),
    release: async () => done.push("released"),
  } as unknown as Guest;
  return { gate: createGate({ id: "a", guest, log: { warn: () => {} } }), done };
}

describe("a passage", () => {
  it("is waited for by a dump, which cuts nothing of it then", async () => {
    const { gate, done } = testGate();
    const passage = await gate.pass(never);
    const closing = gate.close(never);
    await turn();
    expect(done).toEqual([]);
    expect(passage.wasCut()).toBe(false);
    passage.leave();
    await closing;
    expect(done).toEqual(["quiesced"]);
  });

  it("is cut when it has lasted for a while", async () => {
    const { gate } = testGate();
    const passage = await gate.pass(never);
    const startedAt = performance.now();
    await gate.close(never);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(passage.wasCut()).toBe(true);
    await gate.open(never);
    expect((await gate.pass(never)).wasCut()).toBe(false);
    expect(passage.wasCut()).toBe(true);
  });

  it("begins only when no dump is under way", async () => {
    const { gate, done } = testGate();
    await gate.close(never);
    const passing = gate.pass(never).then((passage) => {
      done.push("passes");
      return passage;
    });
    await turn();
    await gate.open(never);
    expect((await passing).wasCut()).toBe(false);
    expect(done).toEqual(["quiesced", "released", "passes"]);
  });

  it("does not begin where the sandbox has ended, or whoever wants it has left", async () => {
    const { gate } = testGate();
    await gate.close(never);
    const left = new AbortController();
    const leaving = expect(gate.pass(left.signal)).rejects.toMatchObject({ code: "cancelled" });
    left.abort(new DomainError("cancelled", "left"));
    await leaving;
    const ending = expect(gate.pass(never)).rejects.toMatchObject({ message: "was paused" });
    gate.end(new DomainError("unavailable", "was paused"));
    await ending;
  });
});
