/**
 * Named places where a test can end the agent or make it fail: the proof that recovery works. A list such as
 * `pause.dumped=kill;fork.taken=error` arms them, or `@` and the path of a file with one, which is read whenever a
 * place is passed and need not be there; nothing is armed by default.
 */
import { readFileSync } from "node:fs";
import { DomainError } from "../lib/errors.js";
import { presentSync } from "../lib/present.js";

export const failpoints = [
  "create.recorded",
  "create.prepared",
  "create.started",
  "create.done",
  "claim.thawed",
  "claim.done",
  "checkpoint.frozen",
  "checkpoint.dumped",
  "checkpoint.thawed",
  "checkpoint.moved",
  "checkpoint.durable",
  "pause.recorded",
  "pause.dumped",
  "pause.durable",
  "pause.committed",
  "pause.killed",
  "launch.restored",
  "resume.recorded",
  "resume.started",
  "resume.committed",
  "rollback.prepared",
  "rollback.recorded",
  "fork.taken",
  "fork.clone",
  "stop.recorded",
  "stop.killed",
  "delete.recorded",
  "delete.container",
  "commit.frozen",
  "commit.copied",
  "commit.diffed",
  "template.started",
  "template.dumped",
  "template.killed",
] as const;

export type FailpointName = (typeof failpoints)[number];
export type FailpointAction = "kill" | "error";
export type Failpoint = (name: FailpointName) => void;

/** Throws `invalid_argument` for a name or action that does not exist. */
function parseFailpoints(text: string): ReadonlyMap<FailpointName, FailpointAction> {
  const armed = new Map<FailpointName, FailpointAction>();
  for (const part of text.split(";").filter((piece) => piece !== "")) {
    const [name = "", action = ""] = part.split("=");
    const known = failpoints.find((candidate) => candidate === name);
    if (known === undefined || (action !== "kill" && action !== "error")) {
      throw new DomainError("invalid_argument", `no such failpoint: ${JSON.stringify(part)}`, {
        hint: `name=kill or name=error, with a name of: ${failpoints.join(", ")}`,
      });
    }
    armed.set(known, action);
  }
  return armed;
}

/** `end` is what `kill` does: the agent passes a SIGKILL of itself. */
export function openFailpoint(text: string, end: () => never): Failpoint {
  const path = text.startsWith("@") ? text.slice(1) : undefined;
  const constant = parseFailpoints(path === undefined ? text : "");
  const read = (file: string) => parseFailpoints(presentSync(() => readFileSync(file, "utf8")) ?? "");
  return (name) => {
    const action = (path === undefined ? constant : read(path)).get(name);
    if (action === "kill") end();
    if (action === "error") throw new DomainError("internal", `failpoint ${name}`);
  };
}
