import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { DomainError } from "../lib/errors.js";
import { attemptRemoval, cannot, containerdError, withCleanUp } from "./errors.js";

const report = (code: status, details: string) =>
  Object.assign(new Error(`${code} ${details}`), { code, details });

test.each([
  [status.NOT_FOUND, 'image "x": not found', "not_found"],
  [status.ALREADY_EXISTS, "snapshot s", "already_exists"],
  [status.UNKNOWN, "runc said no", "internal"],
  [status.UNKNOWN, "write /x: no space left on device: unknown", "resource_exhausted"],
  [status.UNKNOWN, "cannot delete a running process: unknown", "failed_precondition"],
  [status.ABORTED, "locked", "failed_precondition"],
  [status.UNAVAILABLE, "No connection established", "unavailable"],
  [status.DEADLINE_EXCEEDED, "", "deadline_exceeded"],
] as const)("status %d (%s) is %s", (code, details, expected) => {
  const error = containerdError(report(code, details), "a.B/C");
  expect(error).toMatchObject({ code: expected, message: details === "" ? "a.B/C" : details });
});

test("says why nobody answers, in the system's words alone", () => {
  const details =
    "No connection established. Last error: Error: connect ENOENT /run/c.sock. Resolution note: ";
  expect(containerdError(report(status.UNAVAILABLE, details), "a.B/C").message).toBe(
    "connect ENOENT /run/c.sock",
  );
});

test("says what could not be done and keeps code and hint", () => {
  const error = cannot(
    "prepare snapshot s1",
    new DomainError("unavailable", "no answer", { hint: "start it" }),
  );
  expect(error).toMatchObject({
    code: "unavailable",
    message: "cannot prepare snapshot s1: no answer",
    hint: "start it",
  });
});

test("a removal of what is gone succeeds, any other failure does not", async () => {
  await attemptRemoval("remove x", () => Promise.reject(new DomainError("not_found", "x")));
  const refused = attemptRemoval("remove x", () =>
    Promise.reject(new DomainError("failed_precondition", "has children")),
  );
  await expect(refused).rejects.toMatchObject({
    code: "failed_precondition",
    message: "cannot remove x: has children",
  });
});

test("a failed clean-up is told, but does not hide why the work failed", async () => {
  const cleanUp = async () => Promise.reject(new Error("clean-up"));
  await expect(withCleanUp(async () => 1, cleanUp)).rejects.toThrow("clean-up");
  const failing = withCleanUp(() => Promise.reject(new Error("work")), cleanUp);
  await expect(failing).rejects.toThrow("work");
});
