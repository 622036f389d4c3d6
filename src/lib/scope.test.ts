import { describe, expect, it } from "vitest";
import { openScope } from "./scope.js";

describe("scope", () => {
  it("undoes newest first, and waits for each", async () => {
    const log: string[] = [];
    {
      await using scope = openScope();
      scope.defer(async () => {
        await Promise.resolve();
        log.push("first");
      });
      const resource = { [Symbol.asyncDispose]: async () => void log.push("resource") };
      expect(scope.use(resource)).toBe(resource);
      scope.defer(() => log.push("last"));
    }
    expect(log).toEqual(["last", "resource", "first"]);
  });

  it("undoes nothing once it was moved; the other scope does", async () => {
    const log: string[] = [];
    const first = openScope();
    first.defer(() => log.push("undone"));
    const second = first.move();
    await first[Symbol.asyncDispose]();
    expect(log).toEqual([]);
    await second[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    expect(log).toEqual(["undone"]);
  });

  it("undoes the rest after a failure, and reports what failed", async () => {
    const log: string[] = [];
    const one = openScope();
    one.defer(() => log.push("below"));
    one.defer(() => Promise.reject(new Error("stuck")));
    await expect(one[Symbol.asyncDispose]()).rejects.toThrow("stuck");
    expect(log).toEqual(["below"]);
    const two = openScope([() => Promise.reject(new Error("a")), () => Promise.reject(new Error("b"))]);
    await expect(two[Symbol.asyncDispose]()).rejects.toMatchObject({
      errors: [{ message: "b" }, { message: "a" }],
    });
  });
});
