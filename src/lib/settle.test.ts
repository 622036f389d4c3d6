import { expect, it } from "vitest";
import { settleAll } from "./settle.js";

it("gives all results in order", async () => {
  expect(await settleAll(Promise.resolve(1), undefined, Promise.resolve("two"))).toEqual([
    1,
    undefined,
    "two",
  ]);
});

it("throws the first failure only once everything has ended", async () => {
  const ended: string[] = [];
  const slow = new Promise<void>((resolve) => {
    setImmediate(() => {
      ended.push("slow");
      resolve();
    });
  });
  const failure = new Error("broken");
  await expect(settleAll(Promise.reject(failure), slow, Promise.reject(new Error("later")))).rejects.toBe(
    failure,
  );
  expect(ended).toEqual(["slow"]);
});
