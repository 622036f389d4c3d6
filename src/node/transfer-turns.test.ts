import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { openTransferTurns, transfersMax } from "./transfer-turns.js";

const staying = () => new AbortController().signal;
const isSettled = async (promise: Promise<unknown>) => {
  let settled = false;
  const note = () => {
    settled = true;
  };
  promise.then(note, note);
  await nextTurn();
  return settled;
};

it("lets so many go at once in each sandbox, and the next when one has ended", async () => {
  const turns = openTransferTurns();
  const ends = await Promise.all(Array.from({ length: transfersMax }, () => turns.take("a", staying())));
  const next = turns.take("a", staying());
  expect(await isSettled(next)).toBe(false);
  expect(await isSettled(turns.take("b", staying()))).toBe(true);
  const [end = () => {}] = ends;
  end();
  end();
  expect(await isSettled(next)).toBe(true);
  expect(await isSettled(turns.take("a", staying()))).toBe(false);
});

it("leaves the line with the signal's reason", async () => {
  const turns = openTransferTurns();
  for (let count = 0; count < transfersMax; count++) await turns.take("a", staying());
  const controller = new AbortController();
  const waiting = turns.take("a", controller.signal);
  controller.abort(new Error("left"));
  await expect(waiting).rejects.toThrow("left");
});
