/**
 * Without keys, whoever reaches the registry may do everything. That is this machine, and not every page that a browser
 * on it shows: neither one that asks across origins, nor one whose own name has come to lead here.
 */
import type { FastifyInstance } from "fastify";
import { isLoopback, isWildcard } from "../lib/address.js";
import { DomainError } from "../lib/errors.js";
import { httpStatusOf } from "../lib/http-status.js";
import { quote } from "../lib/ids.js";

/** To be called before there are routes. `isTls`: a name that leads here for no good reason has no certificate. */
export function refusePages(app: FastifyInstance, { isTls }: { readonly isTls: boolean }): void {
  app.addHook("onRequest", async ({ headers: { origin, host } }) => {
    if (origin !== undefined && !isHere(origin)) throw refused(`a page of ${quote(origin)}`);
    if (!isTls && host !== undefined && !isHere(`http://${host}`))
      throw refused(`a request to ${quote(host)}`);
  });
  // For what has no edge of its own; those that have say it in their way.
  app.setErrorHandler((thrown, _request, reply) => {
    if (!(thrown instanceof DomainError)) throw thrown;
    const { code, message, hint } = thrown;
    return reply.code(httpStatusOf[code]).send({ code, message, hint });
  });
}

function isHere(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, "$1");
  return isLoopback(host) || isWildcard(host) || host.endsWith(".localhost");
}

function refused(what: string): DomainError {
  return new DomainError(
    "permission_denied",
    `${what} is refused: a registry without keys serves its own machine`,
    {
      hint: "ask for localhost or 127.0.0.1, or turn keys on",
    },
  );
}
