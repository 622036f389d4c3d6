/** Requests with a key are done once: the same again gets the same answer. */
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import { DomainError } from "../lib/errors.js";
import { quote } from "../lib/ids.js";
import type { AnsweredRequest } from "../registry-store/registry-store.js";
import type { Deps } from "./deps.js";
import type { RequestKey } from "./registry.js";

const keyCharactersMax = 255;

/** Answers are kept for so long. */
export const answersKeptMs = 24 * 60 * 60 * 1000;

type RequestDeps = Pick<Deps, "store" | "owned" | "turns" | "now">;

/**
 * `work` gets what has to be written together with its sandboxes. Requests with the same key wait for each other.
 * `already_exists`: the key was another request's. `failed_precondition`: what it made is gone.
 */
export async function onceForKey(
  deps: RequestDeps,
  { team, request }: { readonly team: Team; readonly request: RequestKey | undefined },
  work: (answer: Answer | undefined, signal: AbortSignal) => Promise<readonly OwnedSandbox[]>,
  signal: AbortSignal,
): Promise<readonly OwnedSandbox[]> {
  if (request === undefined) return work(undefined, signal);
  const { key, hash } = request;
  if (key.length === 0 || key.length > keyCharactersMax)
    throw new DomainError("invalid_argument", `an idempotency key has 1 to ${keyCharactersMax} characters`);
  return deps.turns.run(
    `request ${team.id} ${key}`,
    async (linked) => {
      const answered = await deps.store.requests.find(team.id, key);
      if (answered !== undefined) return repeat(deps, answered, hash);
      const answer: Answer = (sandboxes) => ({
        ...{ team: team.id, key, requestHash: hash, answeredAt: deps.now() },
        sandboxes: sandboxes.map(({ id }) => id),
      });
      return work(answer, linked);
    },
    signal,
  );
}

export type Answer = (sandboxes: readonly OwnedSandbox[]) => AnsweredRequest;

async function repeat({ owned }: RequestDeps, answered: AnsweredRequest, hash: string) {
  const { key, requestHash, sandboxes } = answered;
  if (requestHash !== hash)
    throw new DomainError(
      "already_exists",
      `the idempotency key ${quote(key)} was used for another request`,
      {
        hint: "use a new key for each request, and the same only to repeat it",
      },
    );
  const found = await Promise.all(sandboxes.map((id) => owned.find(id)));
  return found.map((sandbox, index) => {
    if (sandbox !== undefined && sandbox.state.status !== "killing") return sandbox;
    throw new DomainError(
      "failed_precondition",
      `sandbox ${sandboxes[index]}, made by the request with the key ${quote(key)}, is gone`,
    );
  });
}
