/** The caller's team and its keys. A key is shown once, when it is made. */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { ApiKey } from "../fleet/team.js";
import { addRoute, type E2bDeps, needOperator } from "./call.js";
import { parseBody } from "./parse.js";

const operatorDoes = "whoever runs the registry does it, with `ramet key`";
const newSchema = z.object({ name: z.string().min(1).max(255) });

export function addTeamRoutes(app: FastifyInstance, deps: E2bDeps): void {
  const { keys } = deps;
  addRoute(app, deps, {
    method: "GET",
    url: "/teams",
    status: 200,
    handle: async ({ team }) => [{ teamID: team.id, name: team.name, apiKey: "", isDefault: true }],
  });
  addRoute(app, deps, {
    method: "GET",
    url: "/api-keys",
    status: 200,
    handle: async ({ team }) =>
      (await keys.list(team)).filter(({ revokedAt }) => revokedAt === undefined).map(keyBody),
  });
  addRoute(app, deps, {
    method: "POST",
    url: "/api-keys",
    status: 201,
    async handle({ caller, team, request }) {
      // Whoever finds a key must not be able to make others that outlive it.
      needOperator(caller, "make keys", operatorDoes);
      const { record, key } = await keys.create(team, parseBody(newSchema, request).name);
      return { ...keyBody(record), key };
    },
  });
  addRoute(app, deps, {
    method: "DELETE",
    url: "/api-keys/:apiKeyID",
    status: 204,
    async handle({ caller, team, param }) {
      needOperator(caller, "revoke keys", operatorDoes);
      await keys.revoke(team, param("apiKeyID"));
    },
  });
}

const prefix = "e2b_";
const secretLength = 40;

function keyBody({ id, name, mask, createdAt }: ApiKey) {
  const [shown = "", suffix = ""] = mask.split(/[^A-Za-z0-9_]+/);
  return {
    id,
    name,
    mask: {
      prefix,
      valueLength: secretLength,
      maskedValuePrefix: shown.startsWith(prefix) ? shown.slice(prefix.length) : shown,
      maskedValueSuffix: suffix,
    },
    createdAt: createdAt.toISOString(),
    createdBy: null,
    lastUsed: null,
  };
}
