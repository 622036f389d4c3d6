import { expect, it } from "vitest";
import { DomainError } from "../lib/errors.js";
import type { EnvdDeps } from "./deps.js";
import { limitTime } from "./time-limit.js";

/** A node that fails to list a sandbox's processes; the sandbox is gone when it is asked for the third time. */
function deployment(failure: DomainError) {
  const warned: string[] = [];
  let asked = 0;
  const get = async () => {
    if (++asked >= 3) throw new DomainError("not_found", "sandbox a not found");
    return { state: { status: "running", pid: 1 } };
  };
  const node = { sandboxes: { get }, processes: { list: () => Promise.reject(failure) } };
  const log = { warn: (_about: object, message: string) => warned.push(message) };
  return { deps: { node, log } as unknown as EnvdDeps, warned, asked: () => asked };
}

const timesUp = { sandbox: "a", pid: 7, afterMs: 0 };

it("warns of nothing when the sandbox is deleted while a process of it is being killed", async () => {
  const { deps, warned, asked } = deployment(new DomainError("unavailable", "sandbox a was deleted"));
  limitTime(deps, timesUp);
  await expect.poll(asked).toBe(3);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(warned).toEqual([]);
});

it("warns of a process that could not be killed for another reason", async () => {
  const { deps, warned } = deployment(new DomainError("internal", "a broken answer"));
  limitTime(deps, timesUp);
  await expect.poll(() => warned).toHaveLength(1);
});
