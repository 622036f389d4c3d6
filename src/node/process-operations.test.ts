import { expect, it } from "vitest";
import { GuestError, guestErrorOf } from "../guest-client/errors.js";
import { DomainError } from "../lib/errors.js";
import type { Guest } from "./guests.js";
import { openProcesses, type ProcessDeps } from "./process-operations.js";

const never = new AbortController().signal;

it("a process that exits before its signal comes is told of as exited, and as none to E2B's clients", async () => {
  const cause = new GuestError("no_such_process", 0, "the process has exited");
  const guest = {
    signal: async () => Promise.reject(new DomainError("not_found", "cannot signal 38", { cause })),
    processes: async () => [{ pid: 38 }],
  } as unknown as Guest;
  const find = (id: string) => ({ id, state: { status: "running", pid: 1, since: new Date() } });
  const call = <T>(_id: string, work: (guest: Guest, signal: AbortSignal) => T) => work(guest, never);
  const processes = openProcesses({
    store: { sandboxes: { find } },
    guests: { call },
  } as unknown as ProcessDeps);
  const thrown = await processes.signal("a", 38, 9, { group: false }, never).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ code: "failed_precondition", message: "process 38 has exited" });
  expect(guestErrorOf(thrown)?.code).toBe("no_such_process");
});
