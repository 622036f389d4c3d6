/** What every route has in common: who calls, and a signal that aborts when the caller goes away. */
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from "fastify";
import type { Team } from "../fleet/team.js";
import type { Clock } from "../lib/clock.js";
import { DomainError } from "../lib/errors.js";
import type { Keys } from "../registry/keys.js";
import type { Registry } from "../registry/registry.js";

export interface E2bDeps {
  readonly registry: Registry;
  readonly keys: Pick<Keys, "list" | "create" | "revoke">;
  /** By the value of `X-API-KEY`. Throws `unauthenticated`. */
  readonly authenticate: (apiKey: string | undefined) => Promise<Caller>;
  readonly now: Clock;
  readonly settings: E2bSettings;
}

export interface Caller {
  readonly team: Team;
  /** May change what is everybody's. */
  readonly isOperator: boolean;
}

export interface E2bSettings {
  /** Longest time that a sandbox can be given at once. */
  readonly timeoutMaxMs: number;
  /** Of sandboxes' hosts, `<port>-<id>.<domain>`, where clients cannot know it. */
  readonly domain: string | null;
}

export interface Call {
  readonly caller: Caller;
  readonly team: Team;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly signal: AbortSignal;
  /** A part of the path, decoded. */
  param(name: string): string;
}

export interface Route {
  readonly method: HTTPMethods;
  readonly url: string;
  /** Of a call that succeeds; `handle` may set another. */
  readonly status: number;
  /** What it returns is the body. */
  readonly handle: (call: Call) => Promise<unknown>;
}

export function addRoute(app: FastifyInstance, { authenticate }: E2bDeps, route: Route): void {
  const { method, url, status, handle } = route;
  app.route({
    method,
    url,
    config: { status },
    async handler(request, reply) {
      const signal = signalOf(reply);
      const key = request.headers["x-api-key"];
      const caller = await authenticate(typeof key === "string" ? key : undefined);
      const params = request.params as Readonly<Record<string, string>>;
      const param = (name: string) => params[name] ?? "";
      reply.code(status);
      const body = await handle({ caller, team: caller.team, request, reply, signal, param });
      return body === undefined ? reply.send() : body;
    },
  });
}

function signalOf({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once("close", () => {
    if (!raw.writableEnded) controller.abort(new DomainError("cancelled", "the client went away"));
  });
  return controller.signal;
}

/** Throws `permission_denied`. */
export function needOperator({ isOperator }: Caller, what: string, instead: string): void {
  if (!isOperator)
    throw new DomainError("permission_denied", `a team's key cannot ${what}`, { hint: instead });
}

/** Old clients add a client's id to the sandbox's: `<sandbox>-<client>`. */
export function sandboxIdOf({ param }: Call): string {
  return param("sandboxID").replace(/-.*$/s, "");
}
