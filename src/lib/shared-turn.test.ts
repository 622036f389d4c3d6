import { expect, it } from "vitest";
import { shareTurns } from "./shared-turn.js";

/** Turns that end when they are told to. */
function openTurns() {
  const ends: ((error?: Error) => void)[] = [];
  const ask = shareTurns(
    () =>
      new Promise((resolve, reject) => {
        ends.push((error) => (error === undefined ? resolve() : reject(error)));
      }),
  );
  return { ends, ask };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

it("serves those that come together with one turn, and those that come during it with the next", async () => {
  const { ends, ask } = openTurns();
  const done: string[] = [];
  const asked = (name: string) => ask().then(() => done.push(name));
  const first = [asked("a"), asked("b")];
  await settled();
  const second = [asked("c"), asked("d")];
  await settled();
  expect(ends).toHaveLength(1);
  ends[0]?.();
  await Promise.all(first);
  expect(done).toEqual(["a", "b"]);
  await settled();
  expect(ends).toHaveLength(2);
  ends[1]?.();
  await Promise.all(second);
  expect(done).toEqual(["a", "b", "c", "d"]);
});

it("fails those of the turn that fails, and goes on with the next", async () => {
  const { ends, ask } = openTurns();
  const first = ask();
  await settled();
  const second = ask();
  ends[0]?.(new Error("no"));
  await expect(first).rejects.toThrow("no");
  await settled();
  ends[1]?.();
  await expect(second).resolves.toBeUndefined();
});
