import { describe, expect, it } from "vitest";
import { retry } from "./retry.js";

const options = { attemptsMax: 3, delayMs: 1, delayMaxMs: 2, mayRetry: () => true };

describe("retry", () => {
  it.each([
    { name: "succeeds at the first attempt", failures: 0, attempts: 1, ok: true },
    { name: "succeeds at the last attempt", failures: 2, attempts: 3, ok: true },
    { name: "gives up after the last attempt", failures: 9, attempts: 3, ok: false },
  ])("$name", async ({ failures, attempts, ok }) => {
    let made = 0;
    const run = retry(async (number) => {
      made = number;
      if (number <= failures) throw new Error(`failure ${number}`);
      return "done";
    }, options);
    if (ok) expect(await run).toBe("done");
    else await expect(run).rejects.toThrow(`failure ${attempts}`);
    expect(made).toBe(attempts);
  });

  it("does not repeat what may not be repeated", async () => {
    let made = 0;
    const run = retry(
      async () => {
        made++;
        throw new Error("final");
      },
      { ...options, mayRetry: () => false },
    );
    await expect(run).rejects.toThrow("final");
    expect(made).toBe(1);
  });

  it("stops while pausing when the signal aborts", async () => {
    const controller = new AbortController();
    const run = retry(
      async () => {
        controller.abort(new Error("stop"));
        throw new Error("again");
      },
      { ...options, delayMs: 60_000, delayMaxMs: 60_000 },
      controller.signal,
    );
    await expect(run).rejects.toThrow("stop");
  });
});
