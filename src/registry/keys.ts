/**
 * Keys of teams, and whose a request is. A key is shown once, when it is made; what is kept is its SHA-256, which is
 * enough for a secret of 160 random bits.
 */
import { createHash, randomBytes } from "node:crypto";
import type { ApiKey, Team } from "../fleet/team.js";
import type { Clock } from "../lib/clock.js";
import { DomainError } from "../lib/errors.js";
import { isId, quote, randomId } from "../lib/ids.js";
import type { RegistryStore } from "../registry-store/registry-store.js";

export interface Keys {
  /** `key` is what a client sends; it cannot be had again. */
  create(team: Team, name: string): Promise<{ readonly record: ApiKey; readonly key: string }>;
  /** Oldest first, revoked ones too. */
  list(team: Team): Promise<readonly ApiKey[]>;
  /** It is refused from the moment this returns; revoking it again changes nothing. `not_found`: the team has none such. */
  revoke(team: Team, id: string): Promise<ApiKey>;
  /** The team of the key in a request's `X-API-KEY`, or `unauthenticated`. */
  authenticate(header: string | readonly string[] | undefined): Promise<Team>;
  /** Teams have changed: nothing that is remembered of them holds. */
  forget(): void;
}

export interface KeysDeps {
  readonly store: Pick<RegistryStore, "keys" | "teams">;
  readonly now: Clock;
  /** Keys whose teams are remembered. Default 10,000. */
  readonly rememberedMax?: number;
}

const keyPattern = /^e2b_[0-9a-f]{40}$/;

export function openKeys({ store, now, rememberedMax = 10_000 }: KeysDeps): Keys {
  const remembered = new Map<string, Team>();
  let generation = 0;

  function forget(): void {
    remembered.clear();
    generation += 1;
  }

  function remember(hash: string, team: Team, since: number): void {
    // What was read before something changed may be out of date by now.
    if (since !== generation) return;
    if (remembered.size >= rememberedMax) remembered.clear();
    remembered.set(hash, team);
  }

  return {
    forget,
    async create(team, name) {
      const key = `e2b_${randomBytes(20).toString("hex")}`;
      const mask = `${key.slice(0, 6)}…${key.slice(-4)}`;
      const record: ApiKey = {
        ...{ id: randomId(), team: team.id, name, hash: hashOf(key), mask, createdAt: now() },
      };
      await store.keys.insert(record);
      return { record, key };
    },
    list: ({ id }) => store.keys.list(id),
    async revoke(team, id) {
      if (!isId(id)) throw noKey(team, id);
      try {
        return await store.keys.revoke(team.id, id, now());
      } finally {
        forget();
      }
    },
    async authenticate(header) {
      if (typeof header !== "string" || header === "")
        throw refused(
          "this needs an API key",
          "send one in the header X-API-KEY; `ramet key create` makes them",
        );
      if (!keyPattern.test(header))
        throw refused("the API key is not valid", "a key is e2b_ and 40 hexadecimal digits");
      const hash = hashOf(header);
      const known = remembered.get(hash);
      if (known !== undefined) return known;
      const since = generation;
      const found = await store.keys.findByHash(hash);
      if (found === undefined || found.revokedAt !== undefined)
        throw refused(
          "the API key is not valid",
          "it was revoked, or is of another registry; `ramet key ls` lists them",
        );
      const team = await store.teams.get(found.team);
      remember(hash, team, since);
      return team;
    },
  };
}

function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

function refused(message: string, hint: string): DomainError {
  return new DomainError("unauthenticated", message, { hint });
}

function noKey(team: Team, id: string): DomainError {
  return new DomainError("not_found", `team ${team.name} has no key ${quote(id)}`, {
    hint: "see `ramet key ls`",
  });
}
