import { describe, expect, it, vi } from "vitest";
import { DomainError } from "../lib/errors.js";
import { createTurnstile } from "./guest-turnstile.js";

const never = new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("a turnstile", () => {
  it("lets in while open, and only those from before while reopening", async () => {
    const turnstile = createTurnstile();
    turnstile.become({ kind: "closed" });
    const entered: string[] = [];
    void turnstile.enter(false, () => {}, never).then(() => entered.push("new"));
    void turnstile.enter(true, () => {}, never).then(() => entered.push("again"));
    await turn();
    expect(entered).toEqual([]);
    turnstile.become({ kind: "reopening" });
    await turn();
    expect(entered).toEqual(["again"]);
    turnstile.become({ kind: "open" });
    await turn();
    expect(entered).toEqual(["again", "new"]);
    expect(turnstile.inside()).toBe(2);
  });

  it("turns those away who wait when it ends, and stays ended", async () => {
    const turnstile = createTurnstile();
    const reason = new DomainError("unavailable", "gone");
    turnstile.become({ kind: "closed" });
    const refused = expect(turnstile.enter(false, () => {}, never)).rejects.toBe(reason);
    turnstile.become({ kind: "ended", reason });
    await refused;
    expect(() => turnstile.become({ kind: "open" })).toThrow(reason);
  });

  it("lets nobody in after a close that came with the wake-up", async () => {
    const turnstile = createTurnstile();
    turnstile.become({ kind: "closed" });
    const entering = turnstile.enter(false, () => {}, never);
    turnstile.become({ kind: "open" });
    turnstile.become({ kind: "closing" });
    await turn();
    expect(turnstile.inside()).toBe(0);
    turnstile.become({ kind: "open" });
    await entering;
  });

  it("waits for those inside, for a while", async () => {
    const turnstile = createTurnstile();
    const abort = vi.fn();
    const place = await turnstile.enter(false, abort, never);
    const isEmpty = () => turnstile.inside() === 0;
    expect(await turnstile.becomes(isEmpty, 10, never)).toBe(false);
    const emptied = turnstile.becomes(isEmpty, 10_000, never);
    turnstile.abortInside(new DomainError("unavailable", "cut"));
    expect(abort).toHaveBeenCalledOnce();
    place.leave();
    expect(await emptied).toBe(true);
  });

  it("takes nobody in whose signal has aborted", async () => {
    const turnstile = createTurnstile();
    const reason = new DomainError("cancelled", "left");
    await expect(turnstile.enter(false, () => {}, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(turnstile.inside()).toBe(0);
  });
});
