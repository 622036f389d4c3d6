import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { shareWork } from "./shared-work.js";

/** Work that ends when it is told to, or when it is aborted. */
function openWork() {
  const begun: { key: string; signal: AbortSignal; end(value: string): void }[] = [];
  const share = shareWork(
    (key, signal) =>
      new Promise<string>((resolve, reject) => {
        begun.push({ key, signal, end: resolve });
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
  );
  return { begun, share };
}

const staying = () => new AbortController().signal;

describe("shared work", () => {
  it("is done once for all that ask meanwhile, and again for who asks later", async () => {
    const { begun, share } = openWork();
    const all = Array.from({ length: 300 }, () => share("a", staying()));
    const other = share("b", staying());
    begun[0]?.end("first");
    begun[1]?.end("other");
    expect(new Set(await Promise.all(all))).toEqual(new Set(["first"]));
    expect(await other).toBe("other");
    const later = share("a", staying());
    begun[2]?.end("second");
    expect(await later).toBe("second");
    expect(begun.map(({ key }) => key)).toEqual(["a", "b", "a"]);
  });

  it("goes on while one waits who did not begin it", async () => {
    const { begun, share } = openWork();
    const first = new AbortController();
    const left = share("a", first.signal);
    const stayed = share("a", staying());
    first.abort(new Error("left"));
    await expect(left).rejects.toThrow("left");
    expect(begun[0]?.signal.aborted).toBe(false);
    begun[0]?.end("done");
    expect(await stayed).toBe("done");
    expect(begun).toHaveLength(1);
  });

  it("is aborted when the last has left, and begins anew after that", async () => {
    const { begun, share } = openWork();
    const only = new AbortController();
    const left = share("a", only.signal);
    only.abort(new Error("left"));
    await expect(left).rejects.toThrow("left");
    expect(begun[0]?.signal.aborted).toBe(true);
    const next = share("a", staying());
    begun[1]?.end("done");
    expect(await next).toBe("done");
  });

  it("that fails fails for all, once", async () => {
    let count = 0;
    const share = shareWork(async () => {
      count++;
      await nextTurn();
      throw new Error("no");
    });
    const all = await Promise.allSettled([share("a", staying()), share("a", staying())]);
    expect(all.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(count).toBe(1);
  });
});
