import { describe, expect, it } from "vitest";
import { createDeadlineQueue } from "./deadline-queue.js";

describe("deadline queue", () => {
  it("gives what is due, earliest first, and once", () => {
    const queue = createDeadlineQueue();
    for (const [key, at] of [
      ["c", 30],
      ["a", 10],
      ["d", 40],
      ["b", 20],
    ] as const)
      queue.set(key, at);
    expect(queue.takeDue(5, 10)).toEqual([]);
    expect(queue.takeDue(30, 10)).toEqual(["a", "b", "c"]);
    expect(queue.takeDue(30, 10)).toEqual([]);
    expect(queue.size).toBe(1);
  });

  it("moves a key both ways, and forgets deleted ones", () => {
    const queue = createDeadlineQueue();
    queue.set("later", 10);
    queue.set("later", 50);
    queue.set("sooner", 60);
    queue.set("sooner", 5);
    queue.set("gone", 7);
    queue.delete("gone");
    expect(queue.takeDue(20, 10)).toEqual(["sooner"]);
    expect(queue.takeDue(60, 10)).toEqual(["later"]);
  });

  it("gives no more than asked for", () => {
    const queue = createDeadlineQueue();
    for (let n = 0; n < 5; n++) queue.set(String(n), n);
    expect(queue.takeDue(10, 2)).toEqual(["0", "1"]);
    expect(queue.takeDue(10, 9)).toEqual(["2", "3", "4"]);
  });

  it("agrees with sorting, whatever is set, moved and deleted", () => {
    const queue = createDeadlineQueue();
    const expected = new Map<string, number>();
    // A small linear congruential generator: the same numbers every time.
    let state = 7;
    const next = (below: number) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state % below;
    };
    for (let round = 0; round < 20_000; round++) {
      const key = String(next(300));
      if (next(4) === 0) {
        queue.delete(key);
        expected.delete(key);
      } else {
        const at = next(1000);
        queue.set(key, at);
        expected.set(key, at);
      }
    }
    const inOrder = queue.takeDue(1000, 1000).map((key) => expected.get(key));
    expect(inOrder).toEqual([...expected.values()].sort((a, b) => a - b));
  });
});
